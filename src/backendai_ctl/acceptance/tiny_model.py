"""A language model made to be asked: 80 kB of GGUF that give every prompt the same answer.

What comes next depends on the last token alone: each word of the answer leads to the next one, the last to
the end of the text, and whatever else there is to the first.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

WORDS = ("The", "model", "answers", "itself")
ANSWER = " ".join(WORDS)
CONTEXT = 256  # tokens
_WIDTH = 32  # numbers that stand for a token: one for each word, and one for all that is none
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"  # as SentencePiece writes it
_UNKNOWN, _BEGIN, _END = range(3)
_NORMAL, _CONTROL, _BYTE = 1, 3, 6  # kinds of tokens
_TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
_UINT32, _INT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 5, 6, 7, 8, 9  # types of GGUF
_ALIGNED = 32  # bytes


def tiny_model(words: Sequence[str] = WORDS) -> bytes:
    """The file of a model that answers `words`, at most 30 of them."""
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    first = len(tokens)
    tokens += [_SPACE + word for word in words]
    kinds = [_CONTROL] * 3 + [_BYTE] * 256 + [_NORMAL] * len(words)
    after = [
        *range(first, len(tokens)),
        _END,
    ]  # of what is no word, of the first word, of the second...
    tensors = {
        "token_embd.weight": [_one(max(0, token - first + 1)) for token in range(len(tokens))],
        "output.weight": [
            _one(after.index(token)) if token in after else [0.0] * _WIDTH
            for token in range(len(tokens))
        ],
        "output_norm.weight": [[20.0] * _WIDTH],
        "blk.0.attn_norm.weight": [[1.0] * _WIDTH],
        "blk.0.ffn_norm.weight": [[1.0] * _WIDTH],
    }
    for name in ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"):
        tensors[f"blk.0.{name}.weight"] = [[0.0] * _WIDTH] * _WIDTH
    facts = [
        _text("general.architecture", "llama"),
        _text("general.name", "tiny"),
        _number("llama.context_length", CONTEXT),
        _number("llama.embedding_length", _WIDTH),
        _number("llama.block_count", 1),
        _number("llama.feed_forward_length", _WIDTH),
        _number("llama.attention.head_count", 1),
        _fact("llama.attention.layer_norm_rms_epsilon", _FLOAT32, struct.pack("<f", 1e-5)),
        _text("tokenizer.ggml.model", "llama"),
        _row("tokenizer.ggml.tokens", _STRING, [_string(token) for token in tokens]),
        _row("tokenizer.ggml.scores", _FLOAT32, [struct.pack("<f", 0.0) for _ in tokens]),
        _row("tokenizer.ggml.token_type", _INT32, [struct.pack("<i", kind) for kind in kinds]),
        _number("tokenizer.ggml.unknown_token_id", _UNKNOWN),
        _number("tokenizer.ggml.bos_token_id", _BEGIN),
        _number("tokenizer.ggml.eos_token_id", _END),
        _text("tokenizer.chat_template", _TEMPLATE),
    ]
    return _file(facts, tensors)


def _one(place: int) -> list[float]:
    """Numbers that are 0 but for one."""
    return [float(place == number) for number in range(_WIDTH)]


def _file(facts: list[bytes], tensors: dict[str, list[list[float]]]) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(facts)) + b"".join(facts)
    data = b""
    for name, rows in tensors.items():
        shape = [len(rows[0])] + ([len(rows)] if len(rows) > 1 else [])
        head += _string(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}QIQ", *shape, 0, len(data))  # 0: 32-bit floats
        data += b"".join(struct.pack(f"<{len(row)}f", *row) for row in rows)  # whole 128 bytes each
    return head + b"\0" * (-len(head) % _ALIGNED) + data


def _string(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _fact(key: str, kind: int, value: bytes) -> bytes:
    return _string(key) + struct.pack("<I", kind) + value


def _text(key: str, value: str) -> bytes:
    return _fact(key, _STRING, _string(value))


def _number(key: str, value: int) -> bytes:
    return _fact(key, _UINT32, struct.pack("<I", value))


def _row(key: str, kind: int, values: list[bytes]) -> bytes:
    return _fact(key, _ARRAY, struct.pack("<IQ", kind, len(values)) + b"".join(values))
