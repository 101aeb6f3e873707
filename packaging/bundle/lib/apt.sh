#!/bin/sh
# install.sh on Debian and its relatives: source, key and packages by apt. Read by `.` after checks.sh.
#
# Only this bundle is given to apt (Dir::Etc::sourcelist): sources that the host has besides, which may
# be out of reach, are neither asked nor touched.
# shellcheck disable=SC2154  # variables of checks.sh and install.sh

source_file=/etc/apt/sources.list.d/backendai.sources
pin_file=/etc/apt/preferences.d/backendai
lists=/var/lib/apt/lists
policy=/usr/sbin/policy-rc.d
# shellcheck disable=SC2034  # for packages.sh: what is written besides
family_paths="$pin_file $lists $policy /var/lib/dpkg/updates"

source_text() { # URL KEYRING
  printf '%s\n' "# Added by install.sh of Backend.AI $version; removed by: install.sh --uninstall-source" \
    "Types: deb" "URIs: $1" "Suites: stable" "Components: main" "Architectures: $architecture" "Signed-By: $2"
}

pin_text() { # Of what the bundle was not made for, only our own packages are wanted.
  origin=$(sed -n 's/^Origin: //p' "$1/apt/dists/stable/Release" | head -n 1)
  printf '%s\n' "# Packages of $distribution in the bundle of Backend.AI are not for this host." \
    "Package: *" "Pin: release o=$origin" "Pin-Priority: -1" "" \
    "Package: backendai-*" "Pin: release o=$origin" "Pin-Priority: 500"
}

apt_get() { # LIST ARGS...: apt-get that knows of the sources in LIST alone, or of all where that is empty
  list=$1
  shift
  if [ -n "$list" ]; then
    set -- -o "Dir::Etc::sourcelist=$list" -o Dir::Etc::sourceparts=/dev/null -o APT::Get::List-Cleanup=0 "$@"
  fi
  in_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Acquire::Languages=none \
    -o DPkg::Lock::Timeout=300 -o Dpkg::Use-Pty=0 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold "$@" </dev/null
}

add_source() { # apt checks everything from a staged file first: what it refuses is never added
  install -d -m 755 "$stage"
  cp "$work/backendai-archive-keyring.gpg" "$stage/keyring.gpg"
  source_text "file:$copy_inside/apt" "$stage_inside/keyring.gpg" >"$stage/backendai.sources"
  if [ -n "$foreign" ]; then pin_text "$copy" >"$stage/pin"; fi
  apt_get "$stage_inside/backendai.sources" -o APT::Update::Error-Mode=any update >"$work/said" 2>&1
  status=$?
  if [ "$status" -ne 0 ] || grep -q -e '^E:' -e '^W:.*[Ff]ailed' "$work/said"; then
    cat "$work/said" >&2
    refuse "apt does not take the repository of this bundle; no source was added" \
      "the line with E: says why; get the bundle again if a signature or a hash is wrong"
  fi
  place_keys
  if [ -n "$foreign" ]; then place "$stage/pin" "$root$pin_file"; else rm -f "$root$pin_file"; fi
  source_text "file:$copy_inside/apt" "$keyring_file" >"$stage/backendai.sources"
  place "$stage/backendai.sources" "$root$source_file"
  for file in "$root$lists"/_var_lib_backendai_bundles_*; do # of bundles that are the source no more
    case $file in *_bundles_"$name"_*) ;; *) rm -f "$file" ;; esac
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

unfinished() { # apt refuses to work where a killed run left dpkg
  if [ -n "$(ls "$root/var/lib/dpkg/updates" 2>/dev/null)" ] || [ -n "$(in_root dpkg --audit 2>/dev/null)" ]; then
    say "An earlier run was interrupted: finishing what it had begun."
    in_root env DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --configure -a </dev/null || :
    # What was killed while it was unpacked, dpkg does not configure, and apt tries to: once more from the start.
    # shellcheck disable=SC2016  # the fields are dpkg-query's
    in_root dpkg-query -W -f '${binary:Package} ${db:Status-Eflag}\n' | awk '$2 == "reinstreq" { print $1 }' >"$work/halves"
    while read -r half; do
      apt_get "$sources" -y --fix-broken --reinstall install "$half" || :
    done <"$work/halves"
    apt_get "$sources" -y --fix-broken install || :
  fi
}

installed_size() { # PACKAGE...: KiB that apt would unpack
  apt_get "$sources" -s -y --allow-downgrades install "$@" 2>/dev/null | awk '$1 == "Inst" { print $2 }' >"$work/new"
  awk 'FILENAME == ARGV[1] { new[$1] = 1; next } $1 == "Package:" { name = $2 }
    $1 == "Installed-Size:" && name in new { sum += $2 } END { print sum + 0 }' \
    "$work/new" "$copy/apt/dists/stable/main/binary-$architecture/Packages"
}

before_packages() { # A killed run is finished first: what is installed is known only then
  sources=$stage_inside/backendai.sources
  if [ -n "$other_sources" ]; then sources=''; fi
  hold_services
  unfinished
}

install_exactly() { # PACKAGE=VERSION...
  hold_services
  need=$(installed_size "$@")
  free=$(free_kib "$root/usr")
  [ $((need + 65536)) -le "$free" ] || refuse "the packages take $(mib "$need"), and $(mib "$free") are free in $root/usr" \
    "free space and run it again"
  in_root apt-mark showauto >"$work/auto"
  # Whether they may be older was decided before: see check_versions.
  set -- -y --allow-downgrades install "$@"
  if [ -n "$no_recommends" ]; then set -- --no-install-recommends "$@"; fi
  apt_get "$sources" "$@"
  status=$?
  keep_marks
  release_services
  [ "$status" -eq 0 ] || refuse "apt did not install everything: see its lines that begin with E:" \
    "mend that and run it again, it goes on where it was${foreign:+; roles with servers are for $distribution only}"
}

keep_marks() { # Named to apt, what came as a dependency may count as asked for, and the other way round
  for role in $roles; do printf 'backendai-%s\n' "$role"; done | sort >"$work/asked"
  kept=$(grep '^backendai-' "$work/auto" | sort | comm -23 - "$work/asked")
  # shellcheck disable=SC2046,SC2086  # words
  {
    [ -z "$kept" ] || in_root apt-mark auto $kept
    [ ! -s "$work/asked" ] || in_root apt-mark manual $(cat "$work/asked")
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
