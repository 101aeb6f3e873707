"""Licences that somebody has read, of works that do not state theirs in words that SPDX knows.

A text counts as it was read: one with another year in it is unknown until it is read again. The tests
of packages refuse a release with an unknown licence.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from releasekit.model import UNKNOWN

_KRB5 = (
    "BSD-2-Clause AND BSD-2-Clause-first-lines AND BSD-3-Clause AND BSD-4-Clause"
    " AND (BSD-2-Clause OR GPL-2.0-or-later) AND Brian-Gladman-2-Clause AND CC-BY-SA-3.0"
    " AND CMU-Mach-nodoc AND FSFULLRWD AND HPND AND HPND-export-US AND HPND-export-US-acknowledgement"
    " AND HPND-export-US-modify AND ISC AND MIT AND OLDAP-2.8 AND OpenVision AND RSA-MD"
    " AND LicenseRef-UMich"
)
_SSSD = (
    "GPL-3.0-or-later AND LGPL-3.0-or-later AND LGPL-2.1-or-later AND BSD-3-Clause AND ISC"
    " AND PostgreSQL AND LicenseRef-public-domain"
)
_MATPLOTLIB = (
    "LicenseRef-matplotlib AND Apache-2.0 AND Bitstream-Charter AND CC0-1.0"
    " AND (FTL OR GPL-2.0-or-later) AND LicenseRef-BaKoMa AND LicenseRef-Yorick AND MIT"
    " AND MIT-Modern-Variant AND OFL-1.1 AND Qhull"
)
_SCIPY = (
    "BSD-3-Clause AND BSD-3-Clause-Open-MPI AND GPL-3.0-or-later WITH GCC-exception-3.1"
    " AND LGPL-2.1-or-later"
)
_X11 = "MIT AND MIT-open-group AND X11 AND HPND AND HPND-sell-variant"

READ = {
    # Wheels
    "6d87b68a71d7f95d": "BSD-3-Clause",  # aniso8601 9.0.1
    "a0a40ab11624573c": "MIT AND Apache-2.0 AND BSD-3-Clause",  # backend.ai-krunner-static-gnu 4.4.0
    "9384ef020bec4dca": "BSD-3-Clause",  # colorama 0.4.6
    "672f4fa2427e9935": "Apache-2.0",  # elastic-transport 9.4.2
    "19a16b16442cda1e": "BSD-3-Clause",  # graypy 2.1.0
    "0ffddef9e48f8a09": "Apache-2.0",  # huggingface-hub 0.34.6
    "9575197ff604c1db": "BSD-3-Clause",  # jinja2 3.1.6
    "dce67cdeae54e358": "BSD-3-Clause",  # networkx 3.3
    "aa4ad30c062b0df9": "BSD-3-Clause",  # nodeenv 1.12.0
    "d242da8f1d13aeb7": "BSD-3-Clause",  # cycler 0.12.1
    "b120c7f02d5be4da": "BSD-3-Clause",  # kiwisolver 1.5.1
    "fdc4dbfe6c39df1a": _MATPLOTLIB,  # 3.11.2
    "ed38399b364731fb": _SCIPY,  # 1.18.1
    "d88faac2be72578d": "BSD-3-Clause",  # prompt-toolkit 3.0.53
    "48bf88b7e5956647": "ISC",  # ptyprocess 0.7.0
    "b84b12d5d3faa9cc": "BSD-2-Clause",  # pyasn1-modules 0.4.2
    "780b923b29ea5943": "BSD-3-Clause AND (Apache-2.0 OR BSD-3-Clause)",  # python-dateutil 2.9.0
    "7620fb6945f96b16": "BSD-2-Clause",  # trafaret 2.1.1
    "3503b1c06f831996": "Apache-2.0",  # tt-smi 3.0.39
    "1a54ff00c6d047c6": "Apache-2.0",  # tt-tools-common 1.4.33
    "8f8d373f2ad329e5": "BSD-2-Clause",  # wrapt 1.17.3
    "49d9777da612e1f4": "LicenseRef-BSD",  # temporenc 0.1.0: the word BSD, and nothing more
    # Sources of Debian 13
    "29d3d38d487dc149": "GPL-3.0-or-later WITH GCC-exception-3.1",  # gcc-14: its run-time libraries
    "54ed4e283af6d405": _KRB5,
    "57993de49c3c844b": "X11",  # libxslt
    "49ba6b5d596bb793": "GPL-2.0-or-later AND BSD-3-Clause",  # nfs-utils
    "b4ce3fec1c140e66": (  # python3.13
        "Python-2.0 AND BSD-2-Clause AND BSD-3-Clause AND HPND AND MIT AND Zlib AND dtoa"
    ),
    "24d8364c4c6544f0": _SSSD,
    "78c7463a21f5a038": "BSD-3-Clause AND GPL-3.0-only",  # hwloc
    "39bed96146a15e47": "BSD-3-Clause",  # jinja2: of what is not in its source alone
    "ca8cae138cd7b789": "MIT",  # libdrm
    "8c7cb0d275a6fd71": "LGPL-2.1-only AND BSD-3-Clause AND GPL-2.0-only",  # libnl3
    "7074e18d6c0bc3ff": "MIT AND ISC AND X11 AND GPL-1.0-or-later",  # libpciaccess
    "0cec6b3b31802d81": f"{_X11} AND BSD-1-Clause AND LicenseRef-TekHVC",  # libx11
    "c864c44726d501db": "MIT-open-group",  # libxau
    "0f6512d173a7e509": "X11",  # libxcb
    "c0ef95a4d2174c3a": "MIT-open-group",  # libxdmcp
    "567d1b294d9284bf": _X11,  # libxext
    "d9c90916c6ab213f": "BSD-3-Clause",  # markupsafe
    "bb3218d80788c69a": "LGPL-2.1-only AND GPL-2.0-or-later",  # numactl
    "c033f8e6589221ef": (  # openmpi
        "BSD-3-Clause-Open-MPI AND mpich2 AND LGPL-2.1-or-later AND LGPL-2.0-or-later AND Apache-2.0"
    ),
    "b74f3f3ca37f05de": "BSD-3-Clause-Open-MPI AND GPL-2.0-only AND MIT",  # pmix
    "7cb61a21e3862247": "MIT",  # pyyaml
    "893685fb450ff9bd": "MIT AND Apache-2.0 AND BSD-3-Clause",  # setuptools
}


def key(texts: Iterable[str]) -> str:
    """What READ knows texts by: the sha256 of their words."""
    words = " ".join(" ".join(texts).split())
    return hashlib.sha256(words.encode()).hexdigest()[:16]


def of_texts(texts: Iterable[str]) -> str:
    """The licence that these texts are, UNKNOWN where nobody has read them."""
    return READ.get(key(texts), UNKNOWN)
