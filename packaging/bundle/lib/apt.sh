#!/bin/sh
# install.sh on Debian and its relatives: source, key and packages by apt. Read by `.` after checks.sh.
#
# apt is told everything by a file of ours: what the host sets (hooks, pins, Default-Release, recommends) does
# not decide, and sources that it has besides, which may be out of reach, are neither asked nor touched.
# Proxies and dpkg's options stay the host's. With --other-sources its sources come in, and as they are its
# operator's wish so do its pins and its Default-Release.
# shellcheck disable=SC2154  # variables of checks.sh and install.sh

source_file=/etc/apt/sources.list.d/backendai.sources
pin_file=/etc/apt/preferences.d/backendai # of 26.9.6-1, whose bundle held packages of Debian
lists=/var/lib/apt/lists
# shellcheck disable=SC2034  # for host.sh
locks="/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock $lists/lock"
policy=/usr/sbin/policy-rc.d
# shellcheck disable=SC2034  # for packages.sh: what is written besides, or mounted over
family_paths="$pin_file $lists $policy /var/lib/dpkg/updates /tmp"

source_text() { # URL KEYRING
  printf '%s\n' "# Added by install.sh of Backend.AI $version; removed by: install.sh --uninstall-source" \
    "Types: deb" "URIs: $1" "Suites: stable" "Components: main" "Architectures: $architecture" "Signed-By: $2"
}

# --- apt by a configuration of ours

tell_apt() { # FOLDER INSIDE BUNDLE SANDBOX: make FOLDER all that apt is told; it sees it at INSIDE, the bundle at BUNDLE
  folder=$1 apt_config=$2/apt.conf
  rm -rf "$folder"
  install -d -m 755 "$folder/lists/partial" "$folder/archives/partial" "$folder/parts"
  cp "$work/backendai-archive-keyring.gpg" "$folder/keyring.gpg"
  source_text "file:$3/apt" "$2/keyring.gpg" >"$folder/parts/backendai.sources"
  # A proxy's password may be in it.
  (umask 077 && { host_settings && apt_settings "$2" "$4"; } >"$folder/apt.conf")
}

host_settings() { # Those of the host's that stay; with a file of its that apt cannot read: none
  kept='^(Acquire::(http|https|ftp)::|dpkg::options)'
  if [ -n "$other_sources" ]; then kept="$kept|^APT::Default-Release "; fi
  in_root apt-config dump 2>/dev/null | grep -i -E "$kept" || :
}

apt_settings() { # INSIDE SANDBOX: apt reads this before the files of the host, and because of it none of these
  recommends=true
  if [ -n "$no_recommends" ]; then recommends=false; fi
  cat <<EOF
Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourceparts "$1/parts";
Dir::State::lists "$1/lists";
Dir::Cache "$1";
Dir::Cache::archives "archives";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
APT::Install-Recommends "$recommends";
APT::Install-Suggests "false";
APT::Sandbox::User "$2";
APT::Update::Error-Mode "any";
Acquire::Languages "none";
DPkg::Lock::Timeout "$lock_timeout";
Dpkg::Use-Pty "0";
Dpkg::Options:: "--force-confdef";
Dpkg::Options:: "--force-confold";
EOF
  if [ -n "$other_sources" ]; then return; fi
  printf '%s "/dev/null";\n' Dir::Etc::sourcelist Dir::Etc::preferences Dir::Etc::preferencesparts
}

apt_here() { # PROGRAM ARGS...: one of apt's, with what `tell_apt` told last
  in_root env APT_CONFIG="$apt_config" DEBIAN_FRONTEND=noninteractive "$@" </dev/null
}

read_index() { # FOLDER: apt checks the index of the bundle alone; with it, the host's own where they are wanted
  apt_here apt-get -q -o Dir::Etc::sourcelist=/dev/null -o APT::Default-Release= update >"$work/said" 2>&1
  status=$?
  if [ "$status" -ne 0 ] || grep -q -e '^E:' -e '^W:.*[Ff]ailed' "$work/said"; then
    cat "$work/said" >&2
    refuse "apt does not accept the repository of this bundle; no source was added" \
      "the line with E: says why; get the bundle again if a signature or a hash is wrong"
  fi
  [ -n "$other_sources" ] || return 0
  for file in "$root$lists"/*; do
    case $file in */_var_lib_backendai_bundles_* | */lock | */partial | */auxfiles) ;; *) ln -s "${file#"$root"}" "$1/lists/" ;; esac
  done
  for file in "$root${source_file%/*}"/*; do
    if [ -f "$file" ] && [ "$file" != "$root$source_file" ]; then cp "$file" "$1/parts/"; fi
  done
}

add_source() { # apt checks everything from a staged file first: what it refuses is never added
  tell_apt "$stage" "$stage_inside" "$copy_inside" _apt
  read_index "$stage"
  place_keys
  rm -f "$root$pin_file"
  source_text "file:$copy_inside/apt" "$keyring_file" >"$stage/backendai.sources"
  place "$stage/backendai.sources" "$root$source_file"
  rm -f "$root$lists"/_var_lib_backendai_bundles_* # of bundles that are the source no more
  for file in "$stage/lists"/_var_lib_backendai_bundles_*; do # the index, as `apt update` would leave it
    install -m 644 "$file" "$work/index" && place "$work/index" "$root$lists/${file##*/}"
  done
  say "Added $source_file, with the key $keyring_file."
}

remove_source() {
  rm -f "$root$source_file" "$root$pin_file" "$root$lists"/_var_lib_backendai_bundles_*
  in_root dpkg-query -S "$keyring_file" >/dev/null 2>&1 || remove_keys
}

list_roles() { # Name and summary of the roles, then of the components
  awk -v RS='' -F '\n' '
    function value(key,  i) { for (i = 1; i <= NF; i++) if (index($i, key ": ") == 1) return substr($i, length(key) + 3) }
    value("Package") ~ /^backendai-/ {
      row = sprintf("  %-28s %s", substr(value("Package"), 11), value("Description"))
      if (value("Section") == "metapackages") print "role" row; else print "component" row
    }' "$here/apt/dists/stable/main/binary-$architecture/Packages" | sort -s -r -k 1,1
}

is_package() { list_roles | awk -v name="$1" '$2 == name { found = 1 } END { exit !found }'; }

# shellcheck disable=SC2034  # for packages.sh
package_tool=apt-get people_type=apt node_key=$keyring_file key_from_text='base64 -d' index_of_node='apt update'
key_text() { base64 "$1"; }

offered() { # NAME VERSION of our packages in the bundle
  awk '$1 == "Package:" { name = $2 } $1 == "Version:" && name ~ /^backendai-/ { print name, $2 }' \
    "$here/apt/dists/stable/main/binary-$architecture/Packages"
}

installed_here() { # NAME VERSION STATUS of our packages on the host
  # shellcheck disable=SC2016  # the fields are dpkg-query's
  in_root dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\n' 'backendai-*' 2>/dev/null |
    awk 'NF == 3 && $3 != "config-files"'
}

at_version() { printf '%s=%s\n' "$1" "$2"; }

interrupted() { # apt refuses to work where a killed run left dpkg
  [ -n "$(ls "$root/var/lib/dpkg/updates" 2>/dev/null)" ] || [ -n "$(in_root dpkg --audit 2>/dev/null)" ]
}

finish_interrupted() {
  say "An earlier run was interrupted: finishing what it had begun."
  hold_services
  in_root env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a </dev/null || :
  # What was killed while it was unpacked, dpkg does not configure, and apt tries to: once more from the start.
  # shellcheck disable=SC2016  # the fields are dpkg-query's
  in_root dpkg-query -W -f '${binary:Package} ${db:Status-Eflag}\n' | awk '$2 == "reinstreq" { print $1 }' >"$work/halves"
  while read -r half; do
    apt_here apt-get -q -y --no-remove --fix-broken --reinstall install "$half" || :
  done <"$work/halves"
  apt_here apt-get -q -y --no-remove --fix-broken install || :
}

# --- what apt would do

try_exactly() { # PACKAGE=VERSION...: leave in $work/would what apt would do, in $work/new the names of what would come
  told=${apt_config:-}
  trial=yes
  if [ -z "$root" ]; then
    ln -sfn "$here" "$work/bundle" # its own path may have characters that a source cannot name
    tell_apt "$work/apt" "$work/apt" "$work/bundle" root
  else
    tell_apt "$work/apt" /tmp/work/apt /tmp/bundle root
  fi
  read_index "$work/apt"
  apt_here apt-get -q -s -y -o Dir::Log::Planner=/dev/null --allow-downgrades install "$@" >"$work/would" 2>"$work/said"
  status=$?
  awk '$1 == "Inst" { print $2 }' "$work/would" >"$work/new"
  gone=$(awk '$1 == "Remv" { printf "%s ", $2 }' "$work/would")
  [ -z "$gone" ] || refuse "apt would remove what is installed here: $gone" \
    "remove it yourself if it is not needed (apt-get remove $gone), or install on another host"
  if [ "$status" -ne 0 ]; then
    cat "$work/would" "$work/said" >&2
    refuse "apt cannot install this here; no package was changed" \
      "its last lines say why; apt-mark showhold names what is held; --other-sources lets apt take from the sources of this host"
  fi
  backwards=$(taken_back)
  [ -z "$backwards" ] || refuse "apt would downgrade what is installed here: $backwards" "install on another host"
  needs_of_packages >"$work/takes" # now, while apt is told of this trial
  # shellcheck disable=SC2034  # for in_root
  trial='' apt_config=$told
}

taken_back() { # NAME of what is installed, not ours, and would become older
  sed -n 's/^Inst \([^ ]*\) \[\([^]]*\)\] (\([^ ]*\) .*/\1 \2 \3/p' "$work/would" | while read -r package has comes; do
    case $package in backendai-*) continue ;; esac # see check_versions
    if in_root dpkg --compare-versions "$comes" lt "$has"; then printf '%s ' "$package"; fi
  done
}

needs_of_packages() { # KIB FOLDER: ours are below /opt, those of Debian below /usr; an upgrade has both versions of one
  # shellcheck disable=SC2016  # the fields are dpkg-query's
  in_root dpkg-query -W -f '${Package} ${Installed-Size}\n' >"$work/sizes" 2>/dev/null
  sed -n 's/^Inst \([^ ]*\) \(\[[^]]*\] \)*(\([^ ]*\) .*/\1=\3/p' "$work/would" >"$work/comes"
  # shellcheck disable=SC2046  # words
  [ ! -s "$work/comes" ] || apt_here apt-cache show $(cat "$work/comes") 2>/dev/null |
    awk 'FILENAME == ARGV[1] { has[$1] = $2; next }
      $1 == "Package:" { name = $2; where = name ~ /^backendai-/ ? "/opt/backendai" : "/usr" }
      $1 == "Installed-Size:" {
        sum[where] += $2 > has[name] ? $2 - has[name] : 0
        if (has[name] && $2 > most[where]) most[where] = $2
      }
      END { for (where in sum) print sum[where] + most[where], where; print 16384, "/var/lib/dpkg" }' "$work/sizes" -
}

takes() { cat "$work/takes"; }

install_exactly() { # PACKAGE=VERSION...
  hold_services
  apt_here apt-mark showauto >"$work/auto"
  # Whether they may be older was decided before: see check_versions.
  apt_here apt-get -q -y --no-remove --allow-downgrades install "$@"
  status=$?
  keep_marks
  release_services
  [ "$status" -eq 0 ] || refuse "apt did not install everything: see its lines that begin with E:" \
    "correct that and run it again: it resumes"
}

keep_marks() { # Named to apt, what came as a dependency may count as asked for, and the other way round
  for role in $roles; do printf 'backendai-%s\n' "$role"; done | sort >"$work/asked"
  kept=$(grep '^backendai-' "$work/auto" | sort | comm -23 - "$work/asked")
  # shellcheck disable=SC2046,SC2086  # words
  {
    [ -z "$kept" ] || apt_here apt-mark auto $kept
    [ ! -s "$work/asked" ] || apt_here apt-mark manual $(cat "$work/asked")
  } >/dev/null 2>&1 || :
}

# In a root folder no service may start, and invoke-rc.d would start them without asking systemd.
hold_services() {
  if [ -z "$root" ] || { [ -e "$root$policy" ] && ! grep -q install.sh "$root$policy"; }; then return; fi
  printf '#!/bin/sh\n# of install.sh --root: starts nothing\nexit 101\n' >"$root$policy"
  chmod 755 "$root$policy"
}

release_services() {
  if [ -n "$root" ] && grep -q 'of install.sh' "$root$policy" 2>/dev/null; then rm -f "$root$policy"; fi
}

parts="$parts apt" # the last line: what is cut short does not have it
