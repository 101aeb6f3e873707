#!/bin/sh
# install.sh: what of the host would hinder an installation, found before the first change. Read by `.`
# after checks.sh; apt.sh and rpm.sh tell which `locks` they need, what `would_come` and what it `takes`.
# shellcheck disable=SC2154  # variables of checks.sh, install.sh, apt.sh and rpm.sh

oldest_systemd=249 # what the units use

oldest_release() { # Of the distributions that are known by name; of any other systemd tells its age
  case $(os_fact ID) in
    debian) echo 12 ;;
    ubuntu) echo 22.04 ;;
    rhel | centos | rocky | almalinux | ol) echo 9 ;;
  esac
}

# A newer systemd alone makes no older distribution fit: the dpkg of Debian 11 reads no zstd.
check_age() {
  hint="install on Debian 12, Ubuntu 22.04, Enterprise Linux 9, or newer"
  is=$(os_fact VERSION_ID) oldest=$(oldest_release)
  if [ -n "$oldest" ] && [ -n "$is" ] && [ "$is" != "$oldest" ] && [ "$(older_of "$is" "$oldest")" = "$is" ]; then
    refuse "$(os_fact NAME) $is is too old: this release is made for $oldest and newer" "$hint"
  fi
  has=$(in_root systemctl --version 2>/dev/null | awk 'NR == 1 { sub(/[^0-9].*/, "", $2); print $2 }')
  if [ -n "$has" ] && [ "$has" -lt "$oldest_systemd" ]; then
    refuse "systemd here is $has, and services of this release need $oldest_systemd or newer" "$hint"
  fi
}

check_roles() {
  for role in $roles; do
    is_package "$role" || wrong "--role: the bundle has no $role" "./install.sh --list-roles"
  done
}

check_site() {
  file=$root/etc/backendai/site.toml
  if [ -n "$site" ] && [ -f "$file" ] && ! same_file "$site" "$file" && [ -z "$replace_site" ]; then
    refuse "$file exists and differs from $site" "compare them; to take yours add --replace-site"
  fi
}

same_file() { [ "$(sha256sum <"$1")" = "$(sha256sum <"$2")" ]; }

# --- who else is at work on packages

lock_timeout=${BACKENDAI_LOCK_TIMEOUT:-600} # seconds
case $lock_timeout in *[!0-9]*) wrong "BACKENDAI_LOCK_TIMEOUT: '$lock_timeout' is not a number of seconds" "such as 600" ;; esac

holder() { # `PID COMMAND` of a process that holds one of the locks; nothing: nobody does
  for file in $locks; do
    case $file in
      *.pid) pids=$(cat "$root$file" 2>/dev/null) ;; # dnf's
      *) # Device numbers of /proc/locks are not those of stat where the root is an overlay: who has it open?
        pids=$(find /proc/[0-9]*/fd -maxdepth 1 -lname "$root$file" 2>/dev/null | cut -d / -f 3 | sort -u |
          while read -r pid; do awk -v pid="$pid" '$5 == pid { print pid; exit }' /proc/locks; done)
        ;;
    esac
    for pid in $pids; do
      [ -d "/proc/$pid" ] || continue
      printf '%s %s\n' "$pid" "$(tr '\0' ' ' <"/proc/$pid/cmdline" | sed 's/ *$//')"
      return
    done
  done
}

check_locks() { # Waits for an apt or dnf that is at work
  waited=0
  while busy=$(holder) && [ -n "$busy" ]; do
    [ "$waited" -lt "$lock_timeout" ] ||
      refuse "process ${busy%% *} has been working on packages for ${waited} s: ${busy#* }" \
        "let it end, or end it if it hangs, and run this again; BACKENDAI_LOCK_TIMEOUT=SECONDS waits longer"
    [ $((waited % 20)) -ne 0 ] ||
      say "Waiting for process ${busy%% *}, which is working on packages: ${busy#* } ($waited of at most $lock_timeout s)"
    sleep 1
    waited=$((waited + 1))
  done
}

# --- space

check_space() { # Where files go; folders of one file system are counted together
  had=0
  for folder in "$copy" "$copy.partial"; do
    if [ -d "$folder" ]; then had=$((had + $(du -sk "$folder" | cut -f 1))); fi
  done
  {
    printf '%s %s\n' $(($(fact unpacked) / 1024 - had)) "${state#"$root"}"
    [ ! -s "$work/new" ] || takes
  } | while read -r need folder; do
    if [ "$need" -gt 0 ]; then printf '%s %s %s\n' "$need" "$folder" "$(file_system "$root$folder")"; fi
  done >"$work/needs"
  short=$(awk -v spare=65536 '
    { mount = $4; free[mount] = $3; sum[mount] += $1; folders[mount] = folders[mount] (mount in seen ? ", " : "") $2; seen[mount] }
    END { for (mount in sum) if (sum[mount] + spare > free[mount]) print sum[mount] + spare, free[mount], folders[mount] }' \
    "$work/needs" | head -n 1)
  [ -n "$short" ] || return 0
  need=${short%% *} short=${short#* }
  refuse "${short#* } needs $(mib "$need"), and $(mib "${short%% *}") are free there" \
    "free space (older bundles in $state can go) or make that file system larger, and run it again"
}

file_system() { # DIR: KiB free where it is or will be, and a word for which file system that is
  folder=$1
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  printf '%s %s\n' "$(free_kib "$folder")" "$(stat -c %d "$folder")"
}

# --- the account of the services

brings_services() { # What else there is runs as whoever calls it.
  for role in $roles; do
    case $role in client | common | runtime | archive-keyring) ;; *) return 0 ;; esac
  done
  return 1
}

# shellcheck disable=SC2154  # variables of install.sh
check_account() { # Nobody else's account or group has its name or a number of its.
  brings_services || return 0
  IFS=: read -r user uid gid home <<EOF
$(fact account)
EOF
  site_file=${site:-$root/etc/backendai/site.toml}
  user=$(of_user name "$user") given=$(of_user uid '')
  gid=$(of_user gid "${given:-$gid}") uid=${given:-$uid}
  odd=$(
    accounts passwd "$uid" | awk -F: -v user="$user" -v uid="$uid" -v gid="$gid" -v home="$home" '
      $1 == user && ($6 != home || $7 !~ /(nologin|false)$/) {
        print "the account " user " (" $3 ":" $4 ", " $6 ", " $7 ") is not ours"
      }
      $1 != user && $3 == uid { print "number " uid " of the services\047 user " user " is the account " $1 "\047s" }
      $1 != user && $4 == gid { print "the account " $1 " has the services\047 group " user " (" gid ")" }
      $1 == user && ($3 != uid || $4 != gid) { print user " is " $3 ":" $4 ", not " uid ":" gid }'
    mine=$(accounts passwd "$uid" | grep -c "^$user:")
    accounts group "$gid" | awk -F: -v user="$user" -v gid="$gid" -v mine="$mine" '
      $1 == user && $3 != gid { print "the group " user " has number " $3 ", not " gid }
      $1 == user && $4 != "" && $4 != user && !mine { print "the group " user " (" $3 ", with " $4 ") is not ours" }
      $1 != user && $3 == gid { print "number " gid " of the services\047 group " user " is the group " $1 "\047s" }'
  )
  [ -z "$odd" ] || refuse "$(printf '%s\n' "$odd" | head -n 1)" \
    "set [user] name, or uid and gid, in a site file to what is free on every node, and give it by --site FILE; or change what is in the way (usermod, groupmod)"
}

accounts() { # DATABASE NUMBER: its rows on the host; a directory may list none, so it is asked by key, too
  if [ -n "$root" ]; then
    cat "$root/etc/$1"
  else
    timeout 5 getent "$1" # a directory may list so many that it takes minutes
    getent "$1" "$user" "$2"
  fi 2>/dev/null
}

check_own_accounts() { # Nobody else's account or group is named like that of a service, which is named like its package
  for entry in $(fact own_accounts); do
    user=${entry%%:*} home=${entry#*:}
    grep -q -x "$user" "$work/new" || continue
    odd=$(
      { accounts passwd "$user" | sed 's/^/account:/' && accounts group "$user" | sed 's/^/group:/'; } |
        awk -F: -v user="$user" -v home="$home" '
          $2 != user { next }
          $1 == "account" { own = $5 }
          $1 == "account" && ($7 != home || $8 !~ /(nologin|false)$/ || $4 == 0) { print "the account " user " (" $4 ", " $7 ", " $8 ")" }
          $1 == "group" && ($5 != "" && $5 != user || own != "" && own != $4) { print "the group " user " (" $4 ($5 ? ", with " $5 : "") ")" }' |
        head -n 1
    )
    [ -z "$odd" ] || refuse "$odd is not ours, and $user is the name of a service's account" \
      "rename it (usermod -l NAME $user, groupmod -n NAME $user), or install this role on another host"
  done
}

of_user() { # KEY DEFAULT: of the table [user] of the site file
  found=''
  [ ! -f "$site_file" ] || found=$(awk -v key="$1" '
    function take(text) {
      if (text !~ "^[ \t]*[\"\047]?" key "[\"\047]?[ \t]*=") return
      sub(/^[^=]*=/, "", text)
      gsub(/#.*|["\047 \t\r]/, "", text)
      if (key != "name") gsub(/_/, "", text)
      print text
    }
    /^[ \t]*\[/ { table = $0; gsub(/#.*|[]["\047 \t\r]/, "", table); next }
    table == "" && /^[ \t]*["\047]?user["\047]?[ \t]*=[ \t]*\{/ {
      sub(/^[^{]*\{/, "")
      for (i = split($0, part, /[,}]/); i; i--) take(part[i])
    }
    table == "" && sub(/^[ \t]*["\047]?user["\047]?[ \t]*\.[ \t]*/, "") { take($0) }
    table == "user" { take($0) }' "$site_file")
  case $1-$found in ?id-0x*) found=$(printf %d "$found") ;; esac
  printf '%s\n' "${found:-$2}"
}


parts="$parts host" # the last line: what is cut short does not have it
