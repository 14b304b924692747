#!/usr/bin/env python3
"""Opens a sealed run: a second reader of the format, written from docs/reference/chunks.md alone.

    decoder.py --run RUN --version VERSION --key-file FILE --site HEX --manifest FILE --chunks FILE --out DIR

FILE of the key holds its 32 bytes; --chunks is the sealed chunks one after the other, as the site keeps them.
Writes the files of the manifest below DIR, which must not exist yet. Ends with 1 and the reason when anything is not
exactly what it must be. Needs Debian's python3-cryptography and python3-zstandard.
"""

import argparse
import hashlib
import json
import os
import struct
import sys

import zstandard
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

SEGMENT = 65536
TAG = 16
HEADER = 76
MOST_PLAIN = 256 << 20


class Refused(Exception):
    """The bytes are not what the site sealed."""


def field(content):
    if isinstance(content, str):
        content = content.encode()
    return struct.pack(">I", len(content)) + content


def derive(run_key, place, salt):
    """Key, base nonce and commitment of one chunk."""
    info = (field("spillway chunk") + b"\x01" + field(place["run"]) + field(place["dataset"]) +
            field(place["version"]) + field(place["direction"]) + field(place["chunk"]) +
            struct.pack(">I", place["index"]) + field(salt))
    material = HKDFExpand(algorithm=hashes.SHA256(), length=76, info=info).derive(run_key)
    return material[:32], material[32:44], material[44:]


def stored_bytes(sealed_size):
    """How many bytes the segments of a chunk of this size hold."""
    segments = sealed_size - HEADER
    if segments == TAG:
        return 0
    whole, rest = divmod(segments, SEGMENT + TAG)
    if segments < TAG or 0 < rest <= TAG:
        raise Refused("no chunk has %d bytes" % sealed_size)
    return segments - TAG * (whole + (1 if rest else 0))


def open_chunk(run_key, place, sealed):
    if len(sealed) < HEADER + TAG or sealed[:4] != b"SPWC":
        raise Refused("not a sealed chunk")
    version, codec, log2, zero, index, length = struct.unpack(">BBBBIQ", sealed[4:20])
    if (version, log2, zero) != (1, 16, 0) or codec > 1:
        raise Refused("not a header of version 1")
    if index != place["index"] or length > MOST_PLAIN:
        raise Refused("index or length is wrong")
    salt, commitment = sealed[20:44], sealed[44:76]
    key, base_nonce, expected = derive(run_key, place, salt)
    if commitment != expected:
        raise Refused("not sealed with this key for this place")
    stored = stored_bytes(len(sealed))
    if codec == 0 and stored != length:
        raise Refused("length and size do not belong together")
    count = max(1, -(-stored // SEGMENT))
    cipher = AESGCM(key)
    parts, at = [], HEADER
    for i in range(count):
        size = min(SEGMENT, stored - i * SEGMENT) + TAG
        nonce = base_nonce[:4] + bytes(a ^ b for a, b in zip(base_nonce[4:], struct.pack(">Q", i)))
        associated = (field(place["run"]) + field(place["chunk"]) +
                      struct.pack(">IIIQB", place["index"], i, count, length, codec))
        try:
            parts.append(cipher.decrypt(nonce, sealed[at:at + size], associated))
        except InvalidTag:
            raise Refused("segment %d of %d was changed" % (i, count)) from None
        at += size
    plain = b"".join(parts)
    return plain if codec == 0 else expand(plain, length)


def expand(frame, length):
    parameters = zstandard.get_frame_parameters(frame)
    if parameters.content_size != length:
        raise Refused("the zstd frame states another length")
    expander = zstandard.ZstdDecompressor().decompressobj()
    plain = expander.decompress(frame)
    if len(plain) != length or expander.unused_data:
        raise Refused("the zstd frame does not give its length, or something follows it")
    return plain


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def no_duplicates(members):
    if len({name for name, _ in members}) != len(members):
        raise Refused("a member is given twice")
    return dict(members)


def open_record(kind, text, site):
    record = json.loads(text, object_pairs_hook=no_duplicates)
    if set(record) != {"body", "publicKey", "signature", "type"} or record["type"] != kind:
        raise Refused("not a record of type %s" % kind)
    if record["publicKey"] != site:
        raise Refused("signed by another key")
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(site)).verify(
            bytes.fromhex(record["signature"]), kind.encode() + b"\n" + canonical(record["body"]))
    except InvalidSignature:
        raise Refused("the signature is wrong") from None
    return record["body"]


def merkle(leaves):
    """RFC 6962, section 2.1."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\x01" + merkle(leaves[:half]) + merkle(leaves[half:])).digest()


def check_manifest(body, args):
    expected = {"format": 1, "runId": args.run, "namespace": "run", "name": args.run, "version": args.version}
    for name, value in expected.items():
        if body[name] != value:
            raise Refused("the manifest's %s is %r, not %r" % (name, body[name], value))
    leaves = [bytes.fromhex(chunk["digest"]) for chunk in body["chunks"]]
    if merkle(leaves).hex() != body["root"]:
        raise Refused("the manifest's root is not that of its chunks")
    if [chunk["index"] for chunk in body["chunks"]] != list(range(len(leaves))):
        raise Refused("the chunks are not in order")


def digest_of(sealed):
    """SHA-256 over the header and every tag; the tags stand for the rest once they are checked."""
    ends = list(range(HEADER, len(sealed), SEGMENT + TAG))[1:] + [len(sealed)]
    return hashlib.sha256(sealed[:HEADER] + b"".join(sealed[end - TAG:end] for end in ends)).hexdigest()


def read_chunks(run_key, body, args):
    plain, end = [], os.path.getsize(args.chunks)
    with open(args.chunks, "rb") as file:
        for chunk in body["chunks"]:
            sealed = file.read(chunk["sealedBytes"])
            if digest_of(sealed) != chunk["digest"]:
                raise Refused("chunk %d is not the one of the manifest" % chunk["index"])
            place = {"run": args.run, "dataset": "run/" + args.run, "version": args.version,
                     "direction": "down", "chunk": "data", "index": chunk["index"]}
            plain.append(open_chunk(run_key, place, sealed))
            if len(plain[-1]) != chunk["plainBytes"]:
                raise Refused("chunk %d has another length" % chunk["index"])
        if file.tell() != end:
            raise Refused("something follows the last chunk")
    return plain


def write_files(body, plain, out):
    os.makedirs(out)
    for file in body["files"]:
        names = file["path"].split("/")
        if any(name in ("", ".", "..") for name in names):
            raise Refused("%r is not a path" % file["path"])
        content = bytearray()
        for chunk, offset, length in file["extents"]:
            if offset < 0 or length <= 0 or offset + length > len(plain[chunk]):
                raise Refused("%s: an extent is not inside its chunk" % file["path"])
            content += plain[chunk][offset:offset + length]
        if len(content) != file["size"]:
            raise Refused("%s: the extents are not as long as the file" % file["path"])
        path = os.path.join(out, *names)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "xb") as target:
            target.write(content)
        os.chmod(path, file["mode"] | 0o600)
        os.utime(path, ns=(file["mtimeMs"] * 1000000, file["mtimeMs"] * 1000000))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("run", "version", "key-file", "site", "manifest", "chunks", "out"):
        parser.add_argument("--" + name, required=True)
    args = parser.parse_args()
    with open(args.key_file, "rb") as file:
        run_key = file.read()
    with open(args.manifest, "rb") as file:
        sealed = file.read()
    place = {"run": args.run, "dataset": "run/" + args.run, "version": args.version,
             "direction": "down", "chunk": "manifest", "index": 0}
    try:
        if len(run_key) != 32:
            raise Refused("a run key has 32 bytes")
        body = open_record("spillway manifest 1", open_chunk(run_key, place, sealed), args.site)
        check_manifest(body, args)
        write_files(body, read_chunks(run_key, body, args), args.out)
    except (Refused, zstandard.ZstdError) as reason:
        sys.exit("decoder.py: %s" % reason)
    print("%d files in %d chunks" % (len(body["files"]), len(body["chunks"])))


if __name__ == "__main__":
    main()
