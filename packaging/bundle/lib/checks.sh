#!/bin/sh
# What verify.sh and install.sh share: messages, facts of the bundle and of the host, and every check.
# Nothing here changes the host. Read by `.` from the bundle's folder.
#
#   here     the bundle's folder
#   root     where the host's files are: empty, or the folder given by --root
#   work     a private folder with copies of what was checked; goes when the script ends
# shellcheck disable=SC2034  # several variables are for the scripts that read this file

LC_ALL=C
export LC_ALL
umask 022

# Until here the trap in the script's own second line held.
finished='' parts='' work=''
# shellcheck disable=SC2317  # by the trap
ended() { # A script that is cut short, or reads one that is, shall not end as if all were well
  status=$?
  [ -z "$work" ] || rm -rf "$work"
  case $status-$finished in 0- | 127-)
    printf 'refused: %s\nhint: %s\n' "${0##*/} or a file in lib is cut short" "unpack the whole tar again" >&2
    exit 1
    ;;
  esac
  exit "$status"
}
trap ended EXIT

here=${here:?}
root=''
wanted='' # the fingerprint given by --fingerprint
allow_older=''
# The keys that this host trusts: also files of the package backendai-archive-keyring, so its upgrade
# brings the next key.
keyring_file=/usr/share/keyrings/backendai-archive-keyring.gpg

say() { printf '%s\n' "$*"; }

refuse() { # WHAT [HINT]: the bundle or the host is not fit. Exit status 1.
  printf 'refused: %s\n' "$1" >&2
  [ -z "${2:-}" ] || printf 'hint: %s\n' "$2" >&2
  exit 1
}

wrong() { # WHAT [HINT]: the request makes no sense. Exit status 2.
  printf '%s: %s\n' "${0##*/}" "$1" >&2
  printf 'hint: %s\n' "${2:-${0##*/} --help}" >&2
  exit 2
}

usage() { # The comment at the head of the script is its help.
  sed -n '3,/^[^#]/s/^# \{0,1\}//p' "$0"
}

whole() { # NAME: lib/NAME.sh was read to its end, which says so
  case "$parts " in *" $1 "*) ;; *) refuse "lib/$1.sh is cut short" "unpack the whole tar again" ;; esac
}

must() { # CHECK: one that is not there, or fails in another way than by `refuse`, has failed too
  "$1" || refuse "$1 could not be made" "unpack the whole tar again"
}

# --- the request

read_fingerprint() { # FPR or FILE: 40 hex digits, spaces allowed
  given=$1
  [ ! -f "$given" ] || given=$(head -n 1 "$given")
  wanted=$(printf '%s' "$given" | tr -d ' :\t\r\n' | tr a-f A-F)
  case $wanted in
    *[!0-9A-F]*) wrong "--fingerprint: '$given' has characters that are not hex digits" ;;
  esac
  [ ${#wanted} -eq 40 ] ||
    wrong "--fingerprint: '$given' has ${#wanted} hex digits, a fingerprint has 40" \
      "give the whole fingerprint, or a file with it"
}

# --- the host

detect_host() {
  if [ -x "$root/usr/bin/dpkg" ]; then
    family=apt
  elif [ -x "$root/usr/bin/rpm" ]; then
    family=rpm
  else
    family=''
  fi
  state=$root/var/lib/backendai/bundles
  trusted=$root$keyring_file
}

need_tools() {
  for tool in awk comm cp df find grep head mktemp od realpath sed sha1sum sha256sum sort tail tr wc xargs; do
    command -v "$tool" >/dev/null || refuse "this host has no $tool" "install coreutils, findutils, grep, sed and awk"
  done
}

free_kib() { # DIR: KiB free where it is, or will be
  folder=$1
  while [ ! -d "$folder" ]; do folder=$(dirname "$folder"); done
  df -Pk "$folder" | awk 'NR == 2 { print $4 }'
}

mib() { printf '%s MB' $((($1 + 1023) / 1024)); } # KiB to read

# --- the bundle

begin_work() {
  work=$(mktemp -d) || refuse "no temporary folder can be made" "free space in ${TMPDIR:-/tmp}"
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
}

take_copies() { # What is checked first is what is used later: the files may lie on somebody's stick.
  for file in RELEASE MANIFEST MANIFEST.sig keys/backendai-archive-keyring.gpg keys/backendai-archive-keyring.asc; do
    if [ ! -f "$here/$file" ] || [ -L "$here/$file" ]; then
      refuse "$file is missing in $here" "unpack the whole tar again: tar xf NAME.tar"
    fi
    cp "$here/$file" "$work/${file#keys/}" || refuse "$file cannot be copied to $work" "free space in ${TMPDIR:-/tmp}"
  done
  keyring=$work/backendai-archive-keyring.gpg
}

fact() { sed -n "s/^$1=//p" "$work/RELEASE" | head -n 1; }

read_facts() {
  version=$(fact version) number=$(fact number) date=$(fact date)
  distribution=$(fact distribution) architecture=$(fact architecture)
  name=$(fact name)-$version-$distribution-$architecture
  case $name in *[!A-Za-z0-9._+~-]* | -*) refuse "RELEASE names no release" "unpack the tar again" ;; esac
  case $number-$(fact unpacked) in
    *[!0-9-]* | -* | *-) refuse "RELEASE has no release number" "unpack the tar again" ;;
  esac
  [ "$(fact format)" = 1 ] ||
    refuse "the bundle has format '$(fact format)', this script knows 1" "use the verify.sh of that bundle"
}

describe() {
  say "Backend.AI $version, release $number of $date, for $distribution $architecture"
}

# --- checks

judge() { # WORDS of signer.sh: its verdict in $verdict, and the detail: for `good` the fingerprint
  verdict=$(sh "$here/lib/signer.sh" "$@")
  detail=${verdict#* }
  verdict=${verdict%% *} verifier=${detail%% *} detail=${detail#* }
}

judge_manifest() { judge check "$1" "$work/MANIFEST.sig" "$work/MANIFEST"; } # KEYRING

spaced() { printf '%s\n' "$1" | sed 's/..../& /g; s/ $//'; }

check_signature() { # The keys that the host has count more than what the bundle or the request says of them
  judge_manifest "$keyring"
  signer=$detail
  if [ "$verdict" != good ]; then
    hint="do not install it; get the bundle again and compare the sha256 of the tar"
    today=$(date -u +%Y%m%d)
    [ "$today" -ge "$(fact date | tr -dc 0-9)" ] 2>/dev/null ||
      hint="the clock of this host says $(date -u +%Y-%m-%d), before the release: set it; else $hint"
    refuse "MANIFEST.sig is not a valid signature of MANIFEST ($verifier: $detail)" "$hint"
  fi
  say "Signed by the key  $(spaced "$signer")"
  known=absent taken=absent
  if [ -f "$trusted" ]; then
    judge_manifest "$trusted" # by the keys of the host: a subkey, too, may be revoked there alone
    taken=$verdict why=$detail
    judge key "$trusted" "$signer" # what it knows of that key, if it does not know that subkey
    known=$verdict
    case $known in fine | absent) ;; *) why=$detail ;; esac
  fi
  case $taken-$known in good-fine | absent-fine | absent-absent) ;; *)
    refuse "this host no longer accepts that key: $trusted says: $why" \
      "get a release that was signed by the publisher's present key"
    ;;
  esac
  if [ -n "$wanted" ]; then
    [ "$signer" = "$wanted" ] || refuse "MANIFEST.sig is by the key $(spaced "$signer"), not by $(spaced "$wanted")" \
      "get the bundle from who published that fingerprint; do not install this one"
    say "  which is the fingerprint you gave."
  elif [ -f "$trusted" ]; then
    [ "$taken" = good ] ||
      refuse "this host trusts another key: $trusted does not hold the one that signed this bundle" \
        "if the publisher changed keys, compare the fingerprint above with the published one, then add: --fingerprint '$(spaced "$signer")'"
    say "  which this host trusts since an earlier release."
  else
    say "  COMPARE it with the fingerprint you were given by another way than this bundle, or give that"
    say "  one by --fingerprint: whoever can replace the bundle can replace the key in it."
  fi
  [ "$(fact key)" != local ] || say "  A local key of the build machine, not one that was given to the build."
}

check_names() { # Before any list is made of them: no links, no devices, no odd names.
  odd=$(cd "$here" && find . ! -type d ! -type f | head -n 1)
  [ -z "$odd" ] || refuse "${odd#./} is a link or a device: a bundle has none" "unpack the tar again, into an empty folder"
  odd=$(cd "$here" && find . -mindepth 1 \( -name '*[!A-Za-z0-9._+~@%,:=-]*' -o -name '[.-]*' \) | head -n 1 | tr -dc ' -~')
  [ -z "$odd" ] || refuse "'$odd' is a name that no bundle has" "remove it, or unpack the tar again into an empty folder"
  odd=$(grep -v -x '[0-9a-f]\{64\}  [A-Za-z0-9_+~@%,:=][A-Za-z0-9._+~@%,:=/-]*' "$work/MANIFEST" | head -n 1 | tr -dc ' -~')
  [ -z "$odd" ] || refuse "MANIFEST has a line that is not a checksum and a path: $odd" "unpack the tar again"
}

listed() { # Paths of MANIFEST, and those that it cannot list
  { sed 's/^.\{66\}//' "$work/MANIFEST" && printf 'MANIFEST\nMANIFEST.sig\n'; } | sort
}

present() { (cd "$1" && find . -type f | sed 's,^\./,,' | sort); }

progress() { # VERB TOTAL: pass lines on; on a terminal count them
  if [ ! -t 2 ]; then
    cat
    return
  fi
  counted=0
  while IFS= read -r line; do
    counted=$((counted + 1))
    printf '\r  %s %s of %s files' "$1" "$counted" "$2" >&2
    printf '%s\n' "$line"
  done
  printf '\r\033[K' >&2
}

hash_files() { # FOLDER SUMS RESULT: RESULT gets a line `PATH: OK` for each file that is as SUMS says
  (cd "$1" && sha256sum -c "$2" 2>/dev/null) | progress checked "$(wc -l <"$2")" >"$3"
}

check_files() {
  listed >"$work/listed"
  present "$here" >"$work/present"
  odd=$(comm -23 "$work/listed" "$work/present" | head -n 1)
  [ -z "$odd" ] || refuse "$odd is missing" "unpack the whole tar again"
  odd=$(comm -13 "$work/listed" "$work/present" | head -n 1)
  [ -z "$odd" ] || refuse "$odd does not belong to this release: MANIFEST does not list it" \
    "remove it, or unpack the tar again into an empty folder"
  hash_files "$here" "$work/MANIFEST" "$work/hashed"
  odd=$(grep -v ': OK$' "$work/hashed" | sed 's/: [^:]*$//' | head -n 1)
  [ -z "$odd" ] || refuse "$odd is not what was released: its sha256 differs from MANIFEST's" \
    "get the bundle again; if it stays so, keep the file for whoever is responsible for security"
  [ "$(grep -c ': OK$' "$work/hashed")" -eq "$(wc -l <"$work/MANIFEST")" ] ||
    refuse "not every file could be read" "look at the medium: dmesg; copy the bundle to a disk"
  # The copies taken first are those that were just checked, not what lies there by now.
  for file in RELEASE backendai-archive-keyring.gpg backendai-archive-keyring.asc; do
    sum=$(sha256sum <"$work/$file")
    grep -q -x "${sum%% *}  \(keys/\)\{0,1\}$file" "$work/MANIFEST" ||
      refuse "$file changed while it was checked" "copy the bundle to a disk that only you write to"
  done
  [ "$(fact fingerprint)" = "$signer" ] ||
    refuse "RELEASE names the key $(fact fingerprint), MANIFEST is signed by another" "get the bundle again"
  say "All $(wc -l <"$work/MANIFEST") files are as they were released."
}

check_number() {
  newest=0
  [ ! -f "$state/newest" ] || newest=$(tr -dc 0-9 <"$state/newest")
  if [ "$number" -ge "${newest:-0}" ]; then
    say "Release number $number; the newest seen on this host is ${newest:-0}."
  elif [ -n "$allow_older" ]; then
    say "Release number $number is older than the newest seen on this host, ${newest:-0}: allowed."
  else
    refuse "release number $number is older than the newest seen on this host, $newest" \
      "install the newest release; to go back on purpose add --allow-older"
  fi
}

check_host() {
  host=$(uname -m)
  case $host in x86_64) host=amd64 ;; aarch64) host=arm64 ;; esac
  [ "$host" = "$architecture" ] ||
    refuse "this host is $host, the bundle is for $architecture" "get the bundle for $host"
}

os_fact() { # KEY of /etc/os-release
  sed -n "s/^$1=//p" "$root/etc/os-release" 2>/dev/null | tr -d '"' | head -n 1
}

parts="$parts checks" # the last line: what is cut short does not have it
