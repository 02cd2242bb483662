#pragma once
namespace rask::cluster {

// True once rask::init has run: then this program knows how to be a worker.
bool initialised();

}  // namespace rask::cluster
