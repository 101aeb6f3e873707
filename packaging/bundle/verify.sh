#!/bin/sh
trap 'echo "refused: ${0##*/} is cut short; unpack the whole tar again" >&2; exit 1' EXIT
# verify.sh - check this bundle. It changes nothing and opens no network connection.
#
# It finds damage, and parts that are missing, added or exchanged. It came in the bundle itself, so it
# cannot find one that was made to deceive: check NAME.tar by NAME.tar.sig before you unpack it, see
# docs/INSTALLING.md.
#
#   ./verify.sh [--fingerprint FPR|FILE] [--allow-older]
#
#   --fingerprint FPR   refuse unless this key signed the bundle: 40 hex digits, spaces allowed, or a
#                       file that holds them. Without it the fingerprint is shown, for you to compare
#   --allow-older       accept a release older than the newest seen on this host
#   -h, --help          show this
#
# Exit status: 0 everything is as it was released; 1 refused (the reason and a hint are printed);
# 2 wrong request.
set -u
here=$(cd "$(dirname "$0")" && pwd -P) || exit 1
# shellcheck source=packaging/bundle/lib/checks.sh
. "$here/lib/checks.sh"
whole checks || exit 127

while [ $# -gt 0 ]; do
  case $1 in
    --fingerprint)
      [ $# -ge 2 ] || wrong "--fingerprint needs a value"
      read_fingerprint "$2"
      shift
      ;;
    --fingerprint=*) read_fingerprint "${1#*=}" ;;
    --allow-older) allow_older=yes ;;
    -h | --help)
      usage
      finished=yes
      exit 0
      ;;
    *) wrong "unknown option or argument: $1" ;;
  esac
  shift
done

need_tools
begin_work
detect_host
take_copies
read_facts
say "This only reads: it checks the signature, every file and the release number of"
describe
must check_signature
must check_names
must check_files
must check_number
need=$(($(fact unpacked) / 1024))
free=$(free_kib "$state")
say "An installation keeps a copy of $(mib "$need") in $state; $(mib "$free") are free there."
say "Fine: this bundle is as it was released."
finished=yes
