#!/bin/sh
# install.sh: which packages of ours the host has, and that all of them come to this release together.
#
# Each names the others by their exact version, so apt and dnf leave a host as it is rather than to take
# some of them back. Read by `.` after checks.sh; apt.sh and rpm.sh tell what is `offered`, what is
# `installed_here`, how a package is named `at_version`, whether a run was `interrupted`, how the whole is
# tried and done, and how the key is written for other nodes.
# shellcheck disable=SC2154  # variables of checks.sh and install.sh

keyring_package=backendai-archive-keyring

older_of() { printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1; } # VERSION VERSION

version_in() { awk -v name="$2" '$1 == name { print $2 }' "$1"; } # FILE PACKAGE

check_versions() { # Before any change: what is installed can come along
  offered | sort >"$work/offered"
  installed_here | sort >"$work/before"
  back='' others=''
  while read -r package has _; do
    version_of=$(version_in "$work/offered" "$package")
    [ "$package" != "$keyring_package" ] || continue # goes forward only, see `taken`
    if [ -z "$version_of" ]; then
      [ -z "$roles$site$serve" ] || refuse "$package is installed here, and this bundle has none: it cannot stay without the others of its release" \
        "remove it first ($package_tool remove $package), or stay with the release that has it"
    elif [ "$has" != "$version_of" ]; then
      others=$has
      [ "$(older_of "$has" "$version_of")" = "$has" ] || back=$has
    fi
  done <"$work/before"
  if [ -n "$back" ] && [ -z "$allow_older" ]; then
    refuse "packages of ours here are of $back, newer than $version in this bundle" \
      "install the newest release; to go back on purpose add --allow-older"
  fi
  if [ -z "$roles$site$serve" ] || [ -z "$others" ]; then return 0; fi
  if [ -z "$back" ]; then
    say "All packages of ours here are upgraded from $others to $version together. Their services restart; where"
    say "the database changes, backendai-ctl dumps it first."
  else
    say "All packages of ours here are downgraded from $back to $version together. The database stays as the newer"
    say "release left it: docs/OPERATING.md, \"Go back\", says which dump to restore."
  fi
}

newer_keyring() { # A package of a later release has the keys of this host, whether this script saw that release or not
  has=$(version_in "$work/before" "$keyring_package") its=$(version_in "$work/offered" "$keyring_package")
  its=${its:-$version}
  [ -n "$has" ] && [ "$has" != "$its" ] && [ "$(older_of "$has" "$its")" = "$its" ]
}

taken() { # PACKAGE...: NAME VERSION of these and of all of ours that are installed
  installed_here | sort >"$work/now"
  { for package; do printf '%s\n' "$package"; done && cut -d ' ' -f 1 "$work/now"; } | sort -u |
    while read -r package; do
      version_of=$(version_in "$work/offered" "$package")
      # A later keyring may know of a revoked key, or of the next one: it is never taken back.
      if [ "$package" = "$keyring_package" ]; then
        has=$(version_in "$work/now" "$package")
        if [ -z "$version_of" ] || { [ -n "$has" ] && [ "$(older_of "$has" "$version_of")" != "$has" ]; }; then continue; fi
      fi
      printf '%s %s\n' "$package" "$version_of"
    done
}

exactly() { # PACKAGE...: these, and with them all of ours that are installed, as apt or dnf want to hear it
  taken "$@" >"$work/take"
  while read -r package version_of; do at_version "$package" "$version_of"; done <"$work/take"
}

# shellcheck disable=SC2046,SC2086  # words
check_packages() { # The whole is tried, so that nothing is begun that could not be ended
  : >"$work/new"
  [ -n "$packages" ] || return 0
  if interrupted; then
    say "An earlier run was interrupted: what it had begun is finished before the installation is tried."
    return 0
  fi
  try_exactly $(exactly $packages)
  say "Simulated: nothing that is installed here is removed or downgraded."
}

# shellcheck disable=SC2046,SC2086  # words
before_packages() { # Since the checks somebody else may have begun
  must check_locks
  interrupted || return 0
  finish_interrupted
  try_exactly $(exactly $packages)
  must check_own_accounts
  must check_space
}

# shellcheck disable=SC2046  # words
install_packages() { # PACKAGE...
  install_exactly $(exactly "$@")
  check_came
}

check_came() { # Never "installed" for what is not, whatever apt or dnf said
  installed_here | sort >"$work/now"
  while read -r package version_of; do
    row=$(awk -v name="$package" '$1 == name { print $2, $3 }' "$work/now")
    [ "$row" = "$version_of installed" ] ||
      refuse "$package should be $version_of now, and is ${row:-not installed}" \
        "the last lines of $package_tool say why; correct that and run it again"
  done <"$work/take"
}

for_other_nodes() { # URL: how other hosts use it. The key is in these lines: what comes by HTTP is checked by it.
  say "On a node with $people_type, as root:"
  say ""
  say "install -d $(dirname "$node_key") $(dirname "$source_file")"
  say "$key_from_text >$node_key <<."
  key_text "$copy/keys/backendai-archive-keyring.${node_key##*.}"
  say "."
  say "cat >$source_file <<."
  source_text "$1/$family" "$node_key" | grep -v '^#'
  say "."
  [ -z "$index_of_node" ] || say "$index_of_node"
  if is_package archive-keyring; then say "$people_type install -y $keyring_package"; fi
  say ""
}

check_links() { # --root: its links mean its own files, and here they would lead to those of this host
  [ -n "$root" ] || return 0
  # shellcheck disable=SC2086  # words
  for path in "${state#"$root"}" /etc/backendai "$keyring_file" "$source_file" $family_paths \
    /etc/os-release /etc/passwd /etc/group /usr /proc /dev; do
    for file in "$path" "$path.new" "${path%.gpg}.asc" "$path/site.toml" "$path/site.toml.replaced" "$path/newest" \
      "$path/newest.new" "$path/.stage" "$path/.lock"; do
      is_in=$(realpath -m "$root$file")
      case $is_in/ in "$root"/*) ;; *)
        refuse "$root$file leads to $is_in, out of $root" "make the links on that path relative: ln -sfn ../TARGET LINK"
        ;;
      esac
    done
  done
}

parts="$parts packages" # the last line: what is cut short does not have it
