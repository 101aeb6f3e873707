"""Look at, check and carry releases: scripts/release, and backendai-release.pyz of a bundle."""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Callable

from bootstrap.progress import say
from release_tool import diff, info, volumes
from release_tool.add_image import Key, add_images
from release_tool.apply import apply_delta
from release_tool.bundle import Bundle
from release_tool.delta import make_delta
from release_tool.delta_file import DeltaFile
from release_tool.layout import KEYRING
from release_tool.sign_list import sign_list
from release_tool.signature import check_signature, read_fingerprint, spaced
from release_tool.tables import megabytes
from release_tool.verify import Verdict, verify
from releasekit.errors import Failure

Answer = tuple[dict[str, Any], str]  # for --json, for reading
_TAR = "backendai-26.9.6-2-linux-amd64.tar"
_ABOUT = """\
Look at, check and carry releases. BUNDLE is the tar file of a release, or the folder it was unpacked
to. All verbs take --json. Exit status: 0 done, 1 refused or failed (the reason and a hint are
printed), 2 wrong usage. Needs Python 3.9 and its standard library; verify, join and apply also one of
sqv, gpgv, gpg; to sign, gpg. Progress goes to standard error, results to standard output."""


def main(argv: Sequence[str]) -> int:
    """0 when it is done and all is right; Failure otherwise."""
    options = _parser().parse_args(argv)
    try:
        found, text = options.run(options)
    except OSError as error:
        raise _explained(error) from None
    print(json.dumps(found, indent=2, sort_keys=True) if options.json else text)
    return 0


def _explained(error: OSError) -> Failure:
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Failure(
            f"{where}the disk is full",
            hint="free space and run the same again: what is right so far is kept",
        )
    return Failure(f"{where}{error.strerror or error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=Path(sys.argv[0]).name, description=_ABOUT)
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)

    def verb(name: str, run: Callable[[Any], Answer], about: str, example: str) -> Any:
        part = verbs.add_parser(
            name,
            help=about.split(".")[0],
            description=f"{about}\n\nexample:\n  scripts/release {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        part.set_defaults(run=run)
        part.add_argument("--json", action="store_true", help="print the result as JSON")
        return part

    def fingerprint(part: Any, about: str) -> None:
        part.add_argument("--fingerprint", metavar="FPR", help=f"{about}: 40 hex digits, or a file")

    part = verb("info", _info, "Show what a bundle or a delta is and holds.", f"info {_TAR}")
    part.add_argument("file", type=Path, metavar="BUNDLE")

    part = verb(
        "verify",
        _verify,
        "Check the signature and every file, in place.\nWithout --fingerprint the key is printed "
        "for you to compare.",
        f"verify {_TAR} --fingerprint 0123...CDEF",
    )
    part.add_argument("bundle", type=Path, metavar="BUNDLE")
    fingerprint(part, "refuse unless this key signed")

    part = verb(
        "split",
        _split,
        "Cut a bundle into volumes, for media that are smaller.\nThe list NAME.volumes is signed "
        "where --sign-with names a key of yours.",
        f"split {_TAR} --size 4G --to out",
    )
    part.add_argument("bundle", type=Path, metavar="BUNDLE")
    part.add_argument(
        "--size", required=True, help="size of a volume, such as 700M, 4.3G or 650MiB"
    )
    part.add_argument(
        "--to", type=Path, metavar="DIR", help="folder of the volumes (default: beside the bundle)"
    )
    part.add_argument("--sign-with", metavar="KEY", help="a key of your gpg key ring")

    part = verb(
        "join",
        _join,
        "Join volumes to the bundle and verify it.\nInterrupted, or short of a volume, it goes on "
        "where it was when run again.",
        f"join {_TAR}.volumes --from other-stick --output bundles",
    )
    part.add_argument("list", type=Path, metavar="NAME.volumes")
    part.add_argument(
        "--from",
        type=Path,
        metavar="DIR",
        action="append",
        default=[],
        help="folder with more volumes",
    )
    part.add_argument("--output", type=Path, metavar="PATH", help="file or folder of the result")
    fingerprint(part, "refuse unless this key signed the bundle")

    part = verb("diff", _diff, "Show what changed between two bundles.", "diff OLD.tar NEW.tar")
    _old_new(part, "new", "NEW")

    part = verb(
        "delta",
        _delta,
        "Make one file that holds what NEW has and OLD lacks.\nBoth are verified first.",
        "delta OLD.tar NEW.tar --output 1-to-2.delta",
    )
    _old_new(part, "new", "NEW")
    part.add_argument("--output", type=Path, metavar="FILE", help="default: NEW.delta beside NEW")
    part.add_argument(
        "--portable",
        action="store_true",
        help="do not repack: larger, but any liblzma will do where it is applied",
    )

    part = verb(
        "apply",
        _apply,
        "Make the new bundle of the old one and a delta, bit for bit, and verify it.\n"
        "Interrupted, it goes on where it was when run again.",
        f"apply OLD.tar 1-to-2.delta --output {_TAR}",
    )
    _old_new(part, "delta", "DELTA")
    part.add_argument("--output", type=Path, metavar="PATH", help="file or folder of the result")
    fingerprint(part, "the publisher's key, when the old bundle does not bring it")

    part = verb(
        "add-image",
        _add_image,
        "Add images of others to a bundle, and sign the result with your key.\nIMAGE is a file that docker "
        "save wrote, or an OCI image layout: a folder or a tar. The bundle is\nverified first, and stays "
        "as it is.",
        f"add-image {_TAR} vllm.tar --name stable/vllm:0.11 --label ai.backend.role=INFERENCE \\\n"
        "    --sign-with KEY --to out",
    )
    part.add_argument("bundle", type=Path, metavar="BUNDLE")
    part.add_argument("image", type=Path, metavar="IMAGE", nargs="+")
    part.add_argument(
        "--name",
        default="",
        metavar="REPOSITORY:TAG",
        help="name of the image, if it is one; default: that in its file",
    )
    part.add_argument(
        "--label",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="add this label to every IMAGE, or replace it",
    )
    part.add_argument(
        "--sign-with", required=True, metavar="KEY", help="a key of your gpg key ring"
    )
    part.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="folder of the new bundle"
    )
    fingerprint(part, "refuse unless this key signed BUNDLE")
    return parser


def _old_new(part: Any, second: str, word: str) -> None:
    part.add_argument("old", type=Path, metavar="OLD")
    part.add_argument(second, type=Path, metavar=word)


def _wanted(options: Any) -> str:
    return read_fingerprint(options.fingerprint) if options.fingerprint else ""


def _info(options: Any) -> Answer:
    found = info.info(options.file)
    return found, info.as_text(found)


def _verify(options: Any) -> Answer:
    wanted = _wanted(options)
    bundle = Bundle(options.bundle)
    verdict = verify(bundle, wanted)
    found = {
        "bundle": str(options.bundle),
        "version": bundle.facts["version"],
        "number": bundle.facts.number,
        "fingerprint": verdict.signed.fingerprint,
        "compared": bool(wanted),
        "tool": verdict.signed.tool,
        "files": verdict.files,
        "size": verdict.size,
    }
    lines = [
        f"{options.bundle}: {bundle.facts['name']} {bundle.facts.title()} is as it was signed: "
        f"{verdict.files} files, {megabytes(verdict.size)} ({verdict.signed.tool})",
        f"signed by {spaced(verdict.signed.fingerprint)}",
    ]
    if not wanted:
        lines.append(
            "compare this with the fingerprint that the publisher gave you by another way, or pass "
            "that as --fingerprint"
        )
    return found, "\n".join(lines)


def _split(options: Any) -> Answer:
    bundle = Bundle(options.bundle)  # nothing else is worth splitting
    if options.bundle.is_dir():
        raise Failure(f"{options.bundle} is a folder", hint="split the tar file of the release")
    target: Path = options.to or options.bundle.parent
    listing = volumes.split(options.bundle, volumes.parse_size(options.size), target)
    path = target / f"{listing.name}{volumes.LIST}"
    signature = sign_list(path, options.sign_with) if options.sign_with else None
    found = {
        "list": str(path),
        "signature": str(signature) if signature else None,
        "sha256": listing.sha256,
        "version": bundle.facts["version"],
        "volumes": [vars(volume) for volume in listing.volumes],
    }
    lines = [f"{volume.name}  {megabytes(volume.size)}" for volume in listing.volumes]
    lines.append(f"list: {path}" + (f", signed: {signature.name}" if signature else ""))
    return found, "\n".join(lines)


def _result(output: Path | None, default: Path) -> Path:
    final = default if output is None else output / default.name if output.is_dir() else output
    if not final.parent.is_dir():
        raise Failure(f"--output: there is no folder {final.parent}", hint=f"mkdir {final.parent}")
    return final


def _join(options: Any) -> Answer:
    wanted = _wanted(options)
    path = volumes.find_list(options.list)
    listing = volumes.read_list(path)
    final = _result(options.output, path.with_name(listing.name))
    work = volumes.join(listing, [path.parent, *getattr(options, "from")], final)
    say(f"  {final} is whole; verifying it")
    try:
        verdict = _verified(final, path, wanted)
    except Failure:
        if work:  # nobody shall take it for a good one
            final.replace(final.with_name(f"{final.name}.refused"))
            say(f"  what was joined is kept as {final.name}.refused")
        raise
    found = {
        "bundle": str(final),
        "sha256": listing.sha256,
        "joined": work,
        "fingerprint": verdict.signed.fingerprint,
        "compared": bool(wanted),
    }
    text = f"{final}: joined and verified" if work else f"{final} was there already; verified"
    return found, f"{text}\nsigned by {spaced(verdict.signed.fingerprint)}"


def _verified(joined: Path, path: Path, wanted: str) -> Verdict:
    """Check the bundle, and the list `path` where that is signed."""
    bundle = Bundle(joined)
    verdict = verify(bundle, wanted)
    signature = path.with_name(path.name + ".sig")
    if signature.is_file():
        check_signature(path.read_bytes(), signature.read_bytes(), bundle.read(KEYRING), str(path))
    return verdict


def _diff(options: Any) -> Answer:
    found = diff.difference(Bundle(options.old), Bundle(options.new))
    return found, diff.as_text(found)


def _delta(options: Any) -> Answer:
    old, new = Bundle(options.old), Bundle(options.new)
    for bundle in (old, new):
        verify(bundle)
    final = _result(options.output, options.new.with_suffix(".delta"))
    figures = make_delta(old, new, final, portable=options.portable)
    found = {"delta": str(final), **figures}
    text = (
        f"{final}: {megabytes(figures['size'])}, {figures['ratio']:.4f} of the full bundle; "
        f"files: {figures['files']['old']} as before, {figures['files']['patch']} patched, "
        f"{figures['files']['blob']} new"
    )
    return found, text


def _apply(options: Any) -> Answer:
    wanted = _wanted(options)
    delta = DeltaFile(options.delta)
    final = _result(options.output, options.delta.parent / delta.name)
    signed = apply_delta(Bundle(options.old), delta, final, wanted)
    found = {"bundle": str(final), "sha256": delta.sha256, "fingerprint": signed.fingerprint}
    text = f"{final}: {delta.new.title()}, sha256 {delta.sha256}"
    return found, f"{text}\nsigned by {spaced(signed.fingerprint)}"


def _add_image(options: Any) -> Answer:
    wanted, labels = _wanted(options), {}
    for label in options.label:
        name, equals, value = label.partition("=")
        if not (name and equals):
            raise Failure(f"--label {label!r} is not KEY=VALUE")
        labels[name] = value
    if options.name and len(options.image) > 1:
        raise Failure("--name is for one image, not for several", hint="add them one by one")
    if options.bundle.is_dir():
        raise Failure(f"{options.bundle} is a folder", hint="give the tar file of the release")
    bundle, key = Bundle(options.bundle), Key(options.sign_with)
    target = options.to / f"{bundle.facts.folder}.tar"
    if not options.to.is_dir():
        raise Failure(f"--to {options.to} is no folder", hint=f"mkdir {options.to}")
    if target.exists():  # by whatever name it was given, it may be this bundle
        raise Failure(f"{target} exists", hint="move it away, or name another folder by --to")
    fingerprint = key.fingerprint()
    verify(bundle, wanted)
    added = add_images(bundle, options.image, target, key, name=options.name, labels=labels)
    lines = [f"added {row['image']}, {megabytes(row['size'])}, {row['digest']}" for row in added]
    found = {"bundle": str(target), "fingerprint": fingerprint, "images": added}
    return found, "\n".join([f"{target}: signed anew by {spaced(fingerprint)}", *lines])
