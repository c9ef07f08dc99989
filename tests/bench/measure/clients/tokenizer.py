"""A tokenizer for tools that want one on disk: each byte is a token; no network is needed."""

import json
from pathlib import Path

END = "<|end|>"
PRINTABLE = (*range(33, 127), *range(161, 173), *range(174, 256))


def _characters() -> list[str]:
    """Return the characters that stand for the 256 bytes in GPT-2's byte-level form."""
    unprintable = (byte for byte in range(256) if byte not in PRINTABLE)
    stand_in = {byte: chr(256 + number) for number, byte in enumerate(unprintable)}
    return [stand_in.get(byte, chr(byte)) for byte in range(256)]


def write_tokenizer(folder: Path) -> None:
    """Write the files of a Hugging Face tokenizer to a new folder."""
    vocabulary = {character: byte for byte, character in enumerate(_characters())}
    vocabulary[END] = len(vocabulary)
    bytewise = {
        "type": "ByteLevel",
        "add_prefix_space": False,
        "trim_offsets": True,
        "use_regex": True,
    }
    end = {
        "id": vocabulary[END],
        "content": END,
        "special": True,
        **dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False),
    }
    whole = {
        "version": "1.0",
        "added_tokens": [end],
        **dict.fromkeys(("pre_tokenizer", "post_processor", "decoder"), bytewise),
        "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
    }
    folder.mkdir()
    (folder / "tokenizer.json").write_text(json.dumps(whole))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
