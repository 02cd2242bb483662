#pragma once
// Writes the rows of a crawl to a file: JSON lines, CSV or SQLite, by the ending of its name.
#include <string>
#include <vector>

#include "rask/base/result.h"
#include "rask/scrape/row.h"

namespace rask::scrape {

enum class OutputFormat { json_lines, csv, sqlite };

// A file that will be written. It appears whole or not at all: what has its name is replaced only
// when all rows are on the disk.
class OutputFile {
 public:
  // Checks, before any work is done, that the file can be written.
  //   errors   invalid_argument: an ending that is not known, a folder that is not there or may not
  //            be written, a name that is no file.
  static Result<OutputFile> prepare(const std::string& path);

  // SQLite: table `pages`, one row a page, `tags` and `links` as JSON text.
  //   errors   peer_lost: the disk is full or gone; the file that was there before is unchanged.
  Result<Ok> write(const std::vector<Row>& rows) const;

  OutputFormat format() const { return format_; }
  const std::string& path() const { return path_; }

 private:
  OutputFile(std::string path, OutputFormat format) : path_(std::move(path)), format_(format) {}

  std::string path_;
  OutputFormat format_;
};

}  // namespace rask::scrape
