#!/bin/sh
# install.sh on Enterprise Linux: source, key and packages by dnf. Read by `.` after checks.sh.
#
# Only this bundle is given to dnf (reposdir), but with --other-sources.
# shellcheck disable=SC2154  # variables of checks.sh and install.sh

source_file=/etc/yum.repos.d/backendai.repo
key_file=${keyring_file%.gpg}.asc
once=backendai-bundle
# shellcheck disable=SC2034  # for packages.sh: what is written besides
family_paths="/var/lib/rpm /usr/lib/sysimage/rpm /var/cache/dnf"

source_text() { # URL KEY
  printf '%s\n' "# Added by install.sh of Backend.AI $version; removed by: install.sh --uninstall-source" \
    "[backendai]" "name=Backend.AI $version" "baseurl=$1" "enabled=1" "gpgcheck=1" "repo_gpgcheck=1" "skip_if_unavailable=0" "gpgkey=file://$2"
}

dnf_here() { # ARGS...: dnf that knows of the staged source alone, but with --other-sources
  program=$(command -v dnf || command -v microdnf) ||
    refuse "this host has neither dnf nor microdnf" "the rpms are in $copy/rpm/packages; rpm -K checks them"
  if [ -n "$root" ]; then set -- "--installroot=$root" "$@"; fi
  if [ -z "$other_sources" ]; then
    set -- "--setopt=reposdir=$stage" "$@"
  else
    # By another name than the source that was added, which dnf would take for a second one of the same.
    set -- "--repofrompath=$once,file://$copy/rpm" "--setopt=$once.gpgcheck=1" "--setopt=$once.repo_gpgcheck=1" \
      "--setopt=$once.skip_if_unavailable=0" "--setopt=$once.gpgkey=file://$stage/key.asc" \
      --disablerepo=backendai "$@"
  fi
  if [ -n "$no_recommends" ]; then set -- --setopt=install_weak_deps=False "$@"; fi
  release=$(os_fact VERSION_ID)
  release=${release%%.*}
  "$program" -y "--releasever=${release:-9}" "$@" </dev/null
}

add_source() { # dnf checks the signature of the index from a staged file first
  install -d -m 755 "$stage"
  cp "$work/backendai-archive-keyring.asc" "$stage/key.asc"
  source_text "file://$copy/rpm" "$stage/key.asc" >"$stage/backendai.repo"
  other=$other_sources other_sources=''
  if ! dnf_here --refresh makecache >"$work/said" 2>&1; then
    cat "$work/said" >&2
    refuse "dnf does not take the repository of this bundle; no source was added" \
      "its last lines say why; get the bundle again if a signature or a hash is wrong"
  fi
  other_sources=$other
  place_keys
  source_text "file://$copy_inside/rpm" "$key_file" >"$stage/final"
  place "$stage/final" "$root$source_file"
  say "Added $source_file, with the key $key_file."
}

remove_source() {
  rm -f "$root$source_file"
  in_root rpm -qf "$keyring_file" >/dev/null 2>&1 || remove_keys
}

list_roles() { # The rpms by name; those of roles are of no architecture
  for file in "$here"/rpm/packages/backendai-*.rpm; do
    name_of=${file##*/backendai-}
    case $name_of in *.noarch.rpm) kind_of=role ;; *) kind_of=component ;; esac
    printf '%s  %s\n' "$kind_of" "${name_of%%-"$version"*}"
  done | sort -s -r -k 1,1
}

is_package() { list_roles | awk -v name="$1" '$2 == name { found = 1 } END { exit !found }'; }

# shellcheck disable=SC2034  # for packages.sh
package_tool=dnf people_type=dnf node_key=$key_file key_from_text='cat' index_of_node=''
key_text() { cat "$1"; }

offered() { # NAME VERSION of our packages in the bundle
  rpm -qp --nosignature --qf '%{NAME} %{VERSION}-%{RELEASE}\n' "$here"/rpm/packages/backendai-*.rpm 2>/dev/null
}

installed_here() { # NAME VERSION STATUS of our packages on the host
  in_root rpm -qa --qf '%{NAME} %{VERSION}-%{RELEASE} installed\n' 'backendai-*'
}

at_version() { printf '%s-%s\n' "$1" "$2"; }

before_packages() { :; } # dnf finishes by itself what a killed run left

install_exactly() { # PACKAGE-VERSION...: dnf takes these, older or newer than what is installed
  dnf_here install "$@" || refuse "dnf did not install everything: see its last lines" \
    "packages of the distribution must be on this host or on the site's own mirror (closure/report.txt): then add --other-sources"
}

parts="$parts rpm" # the last line: what is cut short does not have it
