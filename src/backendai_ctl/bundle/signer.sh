#!/bin/sh
# signer.sh - who signed a file: one judgement for sqv, gpgv and gpg, for scripts and for Python.
#
#   signer.sh check KEYRING SIGNATURE FILE   by the first of sqv, gpgv and gpg that is on this machine
#   signer.sh key KEYRING FINGERPRINT        what KEYRING says of that key
#
# Prints one line, VERDICT VERIFIER DETAIL. Exit status 0 only for `good` (DETAIL is the fingerprint of
# the primary key) and for `fine`; what is good:
#
#   sqv              gpgv, gpg    verdict
#   one fingerprint  GOODSIG      good, unless KEYRING says that the key was revoked or has expired
#   is revoked       REVKEYSIG    revoked
#   -                EXPKEYSIG    expired: the key
#   Expired on       EXPSIG       expired: the signature
#   Missing key      ERRSIG 9     absent: no key of KEYRING signed it
#   anything else    BADSIG ...   bad
#
# The verifiers differ about keys that were replaced or have expired: sqv takes what they signed before,
# and whoever stole such a key can date a signature back. So KEYRING itself is read for that, and a key
# that does not count today does not count. More than one signature is bad: which one would be meant? So is
# one that names more than one key: half of these names are not signed, and verifiers try each.
set -u
LC_ALL=C
export LC_ALL

verdict() { # VERDICT DETAIL...
  word=$1
  shift
  printf '%s %s %s\n' "$word" "$verifier" "$*"
  case $word in good | fine) exit 0 ;; *) exit 1 ;; esac
}

packets() { # FILE: a line for each OpenPGP packet, TAG OFFSET LENGTH; for a signature also TYPE CREATED EXPIRES ISSUER
  od -An -v -tu1 "$1" | awk '
    function number(at, count,  i, sum) { for (i = 0; i < count; i++) sum = sum * 256 + byte[at + i]; return sum + 0 }
    function hex(at, count,  i, text) { for (i = 0; i < count; i++) text = text sprintf("%02X", byte[at + i]); return text }
    function broken() { print "broken"; failed = 1; exit 1 }
    function names(id) { issuer = issuer == "-" || issuer == id ? id : "?" } # all of them one key
    function subpackets(at, end,  size, kind) {
      while (at < end) {
        size = byte[at++]
        if (size == 255) { size = number(at, 4); at += 4 } else if (size >= 192) size = (size - 192) * 256 + byte[at++] + 192
        if (size < 1 || at + size > end) broken()
        kind = byte[at] % 128
        if (kind == 2) made = number(at + 1, 4)
        if (kind == 9) expires = number(at + 1, 4)
        if (kind == 16) names(size == 9 ? hex(at + 1, 8) : "?")
        if (kind == 33) names(size == 22 && byte[at + 1] == 4 ? hex(at + 14, 8) : "?")
        at += size
      }
    }
    function signature(at, end,  hashed) {
      made = expires = 0; issuer = "-"
      if (byte[at] != 4) return "- 0 0 -"
      hashed = at + 6 + number(at + 4, 2)
      if (hashed > end) broken()
      subpackets(at + 6, hashed)
      subpackets(hashed + 2, hashed + 2 + number(hashed, 2))
      return byte[at + 1] " " made " " expires " " issuer
    }
    { for (i = 1; i <= NF; i++) byte[total++] = $i }
    END {
      if (failed) exit 1
      if (!total) broken()
      while (at < total) {
        tag = byte[at++]
        if (tag < 128) broken()
        if (tag >= 192) {
          tag -= 192; size = byte[at++]
          if (size == 255) { size = number(at, 4); at += 4 }
          else if (size >= 224) broken()
          else if (size >= 192) size = (size - 192) * 256 + byte[at++] + 192
        } else {
          width = 2 ^ (tag % 4); tag = int((tag - 128) / 4)
          if (width == 8) broken()
          size = number(at, width); at += width
        }
        if (at + size > total) broken()
        print tag, at, size, (tag == 2 ? signature(at, at + size) : tag == 6 || tag == 14 ? number(at + 1, 4) : "")
        at += size
      }
    }'
}

octal() { printf '\\0%03o' "$1"; } # as %b reads it

fingerprint_at() { # FILE OFFSET LENGTH of a key: RFC 4880, section 12.2
  {
    printf %b "$(octal 153)$(octal $(($3 / 256)))$(octal $(($3 % 256)))"
    tail -c "+$(($2 + 1))" "$1" | head -c "$3"
  } | sha1sum | cut -c 1-40 | tr a-f A-F
}

state_of() { # OFFSET MADE ISSUER ENDS REVOCATION CERTIFICATION: of the key in that packet, by the signatures after it
  awk -v from="$1" -v made="$2" -v id="$3" -v ends="$4" -v ends_it="$5" -v vouches="$6" -v now="$(date +%s)" '
    $1 ~ ends { here = $2 == from }
    here && $1 == 2 && $4 ~ ends_it { revoked = 1 }
    here && $1 == 2 && $4 ~ vouches && $7 == id && $5 >= last { last = $5; seconds = $6 }
    END { print revoked ? "revoked" : !last ? "bad" : seconds && made + seconds <= now ? "expired" : "fine" }' "$scratch/packets"
}

# Signatures by kind, RFC 4880, section 5.2.1: of a primary key 32 revokes it, its certifications of names say
# when it expires, the last one counts; of a subkey 40 revokes, and 24 says so.
key_in() { # KEYRING FINGERPRINT [KEYID]: fine, absent, revoked, expired or bad, and why. KEYID is what signs for it
  packets "$1" >"$scratch/packets" || { echo "bad the keyring cannot be read" && return; }
  states='' ours='' primary=$(echo "$2" | cut -c 25-)
  subkey=${3:-$primary} found=''
  while read -r tag offset size created _; do
    case $tag-$ours in
      6-*)
        ours=''
        [ "$(fingerprint_at "$1" "$offset" "$size")" = "$2" ] || continue
        ours=yes
        states="$states $(state_of "$offset" "$created" "$primary" '^6$' '^32$' '^(16|17|18|19|31)$')"
        [ "$subkey" != "$primary" ] || found=yes
        ;;
      14-yes)
        [ "$(fingerprint_at "$1" "$offset" "$size" | cut -c 25-)" = "$subkey" ] || continue
        states="$states $(state_of "$offset" "$created" "$primary" '^(6|14)$' '^40$' '^24$')" found=yes
        ;;
    esac
  done <<.
$(cat "$scratch/packets")
.
  case $states in
    '') echo "absent" ;;
    *revoked*) echo "revoked the key was revoked" ;;
    *expired*) echo "expired the key has expired" ;;
    *bad*) echo "bad the key vouches for no name" ;;
    *) if [ -n "$found" ]; then echo "fine"; else echo "bad the subkey that signed is not of that key"; fi ;;
  esac
}

by_sqv() { # KEYRING SIGNATURE FILE
  if sqv --keyring "$1" --signature-file "$2" "$3" >"$scratch/out" 2>"$scratch/why" && [ ! -s "$scratch/why" ]; then
    [ "$(wc -l <"$scratch/out")" -eq 1 ] && grep -x '[0-9A-Fa-f]\{40\}' "$scratch/out" | tr a-f A-F && return
  fi
  case $(cat "$scratch/why") in
    *"is revoked"*) echo revoked ;;
    *"Expired on"*) echo expired ;;
    *"Missing key"* | *"No key to check"*) echo absent ;;
    *) echo bad ;;
  esac
}

by_gnupg() { # KEYRING SIGNATURE FILE
  if [ "$verifier" = gpgv ]; then
    set -- gpgv --homedir "$scratch" --status-fd 3 --keyring "$@"
  else
    keys=$1
    shift
    set -- gpg --homedir "$scratch" --status-fd 3 --no-default-keyring --keyring "$keys" --no-options --batch --no-tty \
      --trust-model always --no-auto-check-trustdb --verify "$@"
  fi
  ended=bad
  "$@" 3>"$scratch/status" >/dev/null 2>"$scratch/why" && ended=fine
  awk -v ended="$ended" '
    $1 != "[GNUPG:]" { next }
    $2 == "GOODSIG" { said++; word = "good" }
    $2 == "REVKEYSIG" { said++; word = "revoked" }
    $2 == "EXPKEYSIG" || $2 == "EXPSIG" { said++; word = "expired" }
    $2 == "BADSIG" { said++; word = "bad" }
    $2 == "ERRSIG" { said++; word = $8 == 9 ? "absent" : "bad" }
    $2 == "VALIDSIG" { valid++; signer = $NF }
    END {
      if (said != 1) print "bad"
      else if (word != "good") print word
      else if (ended == "fine" && valid == 1 && signer ~ /^[0-9A-F]+$/ && length(signer) == 40) print signer
      else print "bad"
    }' "$scratch/status"
}

usable() { # Early versions of sqv are called another way
  case $verifier in
    none) ;;
    sqv) sqv --help 2>/dev/null | grep -q -e --signature-file ;;
    *) command -v "$verifier" >/dev/null ;;
  esac
}

check() { # KEYRING SIGNATURE FILE
  for file; do [ -r "$file" ] || verdict bad "$file cannot be read"; done
  for verifier in sqv gpgv gpg none; do
    if usable; then break; fi
  done
  [ "$verifier" != none ] || verdict bad "none of sqv, gpgv and gpg is on this machine"
  case $1 in /*) ;; *) keys=./$1 && shift && set -- "$keys" "$@" ;; esac
  packet=$(packets "$2")
  case $packet in
    "2 "*[0-9A-F]) ;;
    "2 "*"?") verdict bad "it does not name one key as its maker" ;;
    *) verdict bad "it is not one OpenPGP signature" ;;
  esac
  [ "$(echo "$packet" | wc -l)" -eq 1 ] || verdict bad "it is not one OpenPGP signature"
  if [ "$verifier" = sqv ]; then said=$(by_sqv "$@"); else said=$(by_gnupg "$@"); fi
  case $said in
    revoked) verdict revoked "the key was revoked" ;;
    expired) verdict expired "the key or the signature has expired" ;;
    absent) verdict absent "no key of the keyring signed it" ;;
    bad) verdict bad "$(grep . "$scratch/why" | tail -n 1 | sed 's/^ *//')" ;;
    ????????????????????????????????????????) ;;
    *) verdict bad "the verifier said nothing" ;;
  esac
  state=$(key_in "$1" "$said" "${packet##* }")
  [ "$state" = fine ] || verdict "${state%% *}" "${state#* }"
  verdict good "$said"
}

verifier=keyring
scratch=$(mktemp -d) || verdict bad "no temporary folder can be made"
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM HUP
case ${1:-}-$# in
  check-4) shift && check "$@" ;;
  key-3)
    state=$(key_in "$2" "$3")
    verdict "${state%% *}" "${state#* }"
    ;;
  *)
    echo "usage: signer.sh check KEYRING SIGNATURE FILE | key KEYRING FINGERPRINT" >&2
    exit 2
    ;;
esac
