#pragma once
// Compression of frames, as negotiated in the handshake: "lz4", "zstd", "zlib" and none.
//
// lz4 is Dask's: the block format behind a u32 little-endian size (python-lz4's lz4.block).
// Source: distributed/protocol/compression.py.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "rask/base/result.h"
#include "rask/wire/payload.h"

namespace rask::wire {

enum class Compression { none, lz4, zstd, zlib };

std::optional<Compression> parse_compression(std::string_view name);  // nullopt: unknown name
std::string_view to_string(Compression compression);
// Names for the handshake, best first.
std::vector<std::string> supported_compressions();

//   errors   corrupt_message: not of this format, or more than `bytes_max` when unpacked.
Result<Buffer> decompress(Compression compression, std::string_view bytes, std::size_t bytes_max);
Buffer compress(Compression compression, std::string_view bytes);

// Compresses when it pays: 10 kB to 2 GiB, and both a sample and the whole shrink to 70 % or less,
// as maybe_compress of Dask. nullopt: leave it.
std::optional<Buffer> maybe_compress(Compression compression, const Buffer& frame);

// The payload with every frame unpacked and "compression" in its header cleared; unchanged when
// nothing is compressed.
//   errors   corrupt_message: a compression that is not known, or as for decompress. `bytes_max` is
//            for all frames together.
Result<Payload> decompressed(const Payload& payload, std::size_t bytes_max = std::size_t{1} << 40);
// The payload with the frames compressed that gain from it, and its header saying so.
Payload compressed(const Payload& payload, Compression compression);

// Splits frames above `shard_bytes` and joins them again, noting it in the header ("split-num-sub-
// frames", "split-offsets"), as distributed.protocol.serialize does (distributed.comm.shard: 64
// MiB). A payload that was split before, and one that is not `serialized`, stays as it is. merged()
// unpacks, and copies only shards that do not lie side by side already.
Payload split(const Payload& payload, std::size_t shard_bytes = std::size_t{64} << 20);
Result<Payload> merged(const Payload& payload);

}  // namespace rask::wire
