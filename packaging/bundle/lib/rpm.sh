#!/bin/sh
# install.sh on Enterprise Linux: source, key and packages by dnf. Read by `.` after checks.sh.
#
# dnf is told everything by a file of ours: what the host sets (plugins, excludes, weak dependencies) does not
# decide, and sources that it has besides are neither asked nor touched. Proxies and certificates stay the
# host's. With --other-sources its sources come in, and plugins, which may be the way to them.
# shellcheck disable=SC2154  # variables of checks.sh and install.sh

source_file=/etc/yum.repos.d/backendai.repo
key_file=${keyring_file%.gpg}.asc
once=backendai-bundle
# shellcheck disable=SC2034  # for host.sh
locks="/usr/lib/sysimage/rpm/.rpm.lock /var/lib/rpm/.rpm.lock /var/lib/dnf/rpmdb_lock.pid"
# shellcheck disable=SC2034  # for packages.sh: what is written besides
family_paths="/var/lib/rpm /usr/lib/sysimage/rpm /var/cache/dnf"

source_text() { # URL KEY
  printf '%s\n' "# Added by install.sh of Backend.AI $version; removed by: install.sh --uninstall-source" \
    "[backendai]" "name=Backend.AI $version" "baseurl=$1" "enabled=1" "gpgcheck=1" "repo_gpgcheck=1" "skip_if_unavailable=0" "gpgkey=file://$2"
}

# --- dnf by a configuration of ours

tell_dnf() { # FOLDER REPOSITORY GPGCHECK: make FOLDER all that dnf is told
  told=$1
  install -d -m 755 "$told/repos"
  cp "$work/backendai-archive-keyring.asc" "$told/key.asc"
  source_text "file://$2" "$told/key.asc" | sed "s/gpgcheck=1/gpgcheck=$3/" >"$told/repos/backendai.repo"
  # A proxy's password may be in it.
  (umask 077 && { dnf_settings && host_settings; } >"$told/dnf.conf")
}

dnf_settings() {
  weak=True
  if [ -n "$no_recommends" ]; then weak=False; fi
  printf '%s\n' '[main]' gpgcheck=1 best=True skip_if_unavailable=False clean_requirements_on_remove=False \
    installonly_limit=3 "install_weak_deps=$weak"
}

host_settings() { # Those of the host's that stay
  sed -n '/^\[/h; G; s/^\(\(proxy\|ssl\)[a-z_]* *=.*\)\n\[main\].*/\1/p' "$root/etc/dnf/dnf.conf" 2>/dev/null || :
}

dnf_here() { # ARGS...: dnf that knows of the source told last alone, but with --other-sources
  program=$(command -v dnf || command -v microdnf) ||
    refuse "this host has neither dnf nor microdnf" "the rpms are in $here/rpm/packages; rpm -K checks them"
  set -- "--config=$told/dnf.conf" "$@"
  if [ -n "$root" ]; then set -- "--installroot=$root" "$@"; fi
  if [ -z "$other_sources" ]; then
    set -- "--setopt=reposdir=$told/repos" --noplugins "$@"
  else
    # By another name than the source that was added, which dnf would take for a second one of the same.
    its=$(sed -n 's/^baseurl=//p' "$told/repos/backendai.repo") check=$(sed -n 's/^gpgcheck=//p' "$told/repos/backendai.repo")
    set -- "--repofrompath=$once,$its" "--setopt=$once.gpgcheck=$check" "--setopt=$once.repo_gpgcheck=$check" \
      "--setopt=$once.skip_if_unavailable=0" "--setopt=$once.gpgkey=file://$told/key.asc" --disablerepo=backendai "$@"
  fi
  release=$(os_fact VERSION_ID)
  release=${release%%.*}
  "$program" -y "--releasever=${release:-9}" "$@" </dev/null
}

add_source() { # dnf checks the signature of the index from a staged file first
  tell_dnf "$stage" "$copy/rpm" 1
  other=$other_sources other_sources=''
  if ! dnf_here --refresh makecache >"$work/said" 2>&1; then
    cat "$work/said" >&2
    refuse "dnf does not accept the repository of this bundle; no source was added" \
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

interrupted() { false; } # dnf finishes by itself what a killed run left

finish_interrupted() { :; }

# --- what dnf would do

try_exactly() { # PACKAGE-VERSION...: leave in $work/would what dnf would do, in $work/new the names of what would come
  ln -sfn "$here" "$work/bundle" # its own path may have characters that a source cannot name
  # Every file was checked by its sum; dnf would import the key, which is a change.
  tell_dnf "$work/dnf" "$work/bundle/rpm" 0
  dnf_here "--setopt=cachedir=$work/dnf/cache" "--setopt=persistdir=$work/dnf/persist" "--setopt=logdir=$work/dnf" \
    --setopt=tsflags=test install "$@" >"$work/would" 2>"$work/said"
  status=$?
  if [ -n "$root" ]; then rm -rf "$root$work"; fi # dnf takes these folders for the root's
  gone=$(awk '
    /^[A-Z].*:$/ { section = $1 }
    /^Transaction Summary/ { exit }
    $1 == "replacing" { printf "%s ", $2 }
    /^ [^ ]/ && (section == "Removing" || section == "Removing:" || section == "Downgrading:" && $1 !~ /^backendai-/) { printf "%s ", $1 }' "$work/would")
  [ -z "$gone" ] || refuse "dnf would remove or take back what is installed here: $gone" \
    "remove it yourself if it is not needed (dnf remove $gone), or install on another host"
  if [ "$status" -ne 0 ]; then
    cat "$work/would" "$work/said" >&2
    refuse "dnf cannot install this here; no package was changed" \
      "its last lines say why: free the space that they name; --other-sources lets dnf take from the sources of this host"
  fi
  awk '/^(Installing|Upgrading|Downgrading)/ { come = 1; next } /^[A-Z].*:$/ { come = 0 }
    /^Transaction Summary/ { exit } come && /^ [^ ]/ { print $1 }' "$work/would" >"$work/new"
}

takes() { # KIB FOLDER: ours are below /opt; what else there is rpm looked at in the trial
  in_root rpm -qa --qf '%{NAME} %{SIZE}\n' 'backendai-*' >"$work/sizes"
  rpm -qp --nosignature --qf '%{NAME} %{SIZE}\n' "$here"/rpm/packages/backendai-*.rpm 2>/dev/null |
    awk 'FILENAME == ARGV[1] { comes[$1]; next }
      FILENAME == ARGV[2] { has[$1] = $2; next }
      $1 in comes { sum += $2 > has[$1] ? $2 - has[$1] : 0; if (has[$1] && $2 > most) most = $2 }
      END { printf "%d /opt/backendai\n%d /var/lib/rpm\n", (sum + most) / 1024, 16384 }' "$work/new" "$work/sizes" -
}

install_exactly() { # PACKAGE-VERSION...: dnf takes these, older or newer than what is installed
  dnf_here install "$@" || refuse "dnf did not install everything: see its last lines" \
    "mend that and run it again"
}

parts="$parts rpm" # the last line: what is cut short does not have it
