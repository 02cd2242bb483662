#include "rask/scrape/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "rask/scrape/format.h"

namespace rask::scrape {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class Output : public testing::Test {
 protected:
  Output() {
    std::string name = (fs::temp_directory_path() / "rask-output-XXXXXX").string();
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~Output() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::string refusal(const std::string& path) const {
    const auto file = OutputFile::prepare(path);
    return file.ok() ? "" : file.error().message;
  }

  static std::string content(const std::string& path) {
    std::ifstream file{path, std::ios::binary};
    std::ostringstream out;
    out << file.rdbuf();
    return out.str();
  }

  std::vector<std::string> files() const {
    std::vector<std::string> out;
    for (const auto& entry : fs::directory_iterator{folder_})
      out.push_back(entry.path().filename().string());
    return out;
  }

  fs::path folder_;
  const std::vector<Row> rows_{
      {.url = "http://a/1",
       .final_url = "http://a/2",
       .status = 200,
       .title = "gr\xC3\xBC\xC3\x9F",
       .tags = {"x"},
       .links = {"http://a/"},
       .depth = 1,
       .elapsed = 0.25},
      {.url = "http://a/3", .final_url = "http://a/3", .error = "it's gone"}};
};

TEST_F(Output, the_ending_decides_the_format) {
  for (const char* name : {"a.jsonl", "a.ndjson", "a.json", "a.JSONL"})
    EXPECT_EQ(OutputFile::prepare(path(name)).value().format(), OutputFormat::json_lines) << name;
  EXPECT_EQ(OutputFile::prepare(path("a.b.csv")).value().format(), OutputFormat::csv);
  for (const char* name : {"a.sqlite", "a.sqlite3", "a.db"})
    EXPECT_EQ(OutputFile::prepare(path(name)).value().format(), OutputFormat::sqlite) << name;
  EXPECT_THAT(refusal(path("a.xml")), HasSubstr("should end in"));
  EXPECT_THAT(refusal(path("noending")), HasSubstr("should end in"));
  EXPECT_THAT(refusal(""), HasSubstr("should end in"));
}

TEST_F(Output, what_cannot_be_written_is_refused_before_any_work) {
  EXPECT_THAT(refusal(path("no/such/folder/a.csv")), HasSubstr("No such file or directory"));
  fs::create_directory(path("folder.csv"));
  EXPECT_THAT(refusal(path("folder.csv")), HasSubstr("it is no file"));
  EXPECT_THAT(refusal(path("folder.csv/")), testing::Not(""));
  EXPECT_EQ(refusal(path("a.csv")), "");
  EXPECT_THAT(files(), ElementsAre("folder.csv")) << "asking leaves nothing behind";
}

TEST_F(Output, text_formats_are_written_whole_and_replace_what_was_there) {
  for (const char* name : {"a.csv", "a.jsonl"}) {
    std::ofstream{path(name)} << "old";
    const auto file = OutputFile::prepare(path(name));
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(content(path(name)), "old");
    ASSERT_TRUE(file.value().write(rows_).ok());
  }
  EXPECT_EQ(content(path("a.csv")), to_csv(rows_));
  EXPECT_EQ(content(path("a.jsonl")), to_json_lines(rows_));
  EXPECT_THAT(files(), testing::UnorderedElementsAre("a.csv", "a.jsonl"));
}

TEST_F(Output, sqlite_holds_one_row_a_page) {
  const auto file = OutputFile::prepare(path("a.sqlite"));
  ASSERT_TRUE(file.value().write(rows_).ok());
  ASSERT_TRUE(file.value().write(rows_).ok()) << "again, over the old one";
  sqlite3* database = nullptr;
  ASSERT_EQ(sqlite3_open(path("a.sqlite").c_str(), &database), SQLITE_OK);
  std::vector<std::string> found;
  const auto add = [](void* to, int count, char** values, char**) {
    std::string line;
    for (int i = 0; i < count; ++i)
      line += (i > 0 ? "|" : "") + std::string{values[i] == nullptr ? "NULL" : values[i]};
    static_cast<std::vector<std::string>*>(to)->push_back(line);
    return 0;
  };
  EXPECT_EQ(sqlite3_exec(database,
                         "SELECT url, final_url, status, title, tags, links, depth, elapsed, error "
                         "FROM pages ORDER BY rowid",
                         add, &found, nullptr),
            SQLITE_OK);
  sqlite3_close(database);
  EXPECT_THAT(found,
              ElementsAre("http://a/1|http://a/2|200|gr\xC3\xBC\xC3\x9F|[\"x\"]|[\"http://a/\"]|1|"
                          "0.25|NULL",
                          "http://a/3|http://a/3|NULL||[]|[]|0|0.0|it's gone"));
  EXPECT_THAT(files(), ElementsAre("a.sqlite"));
}

TEST_F(Output, a_write_that_fails_leaves_the_old_file) {
  std::ofstream{path("a.csv")} << "old";
  const auto file = OutputFile::prepare(path("a.csv"));
  ASSERT_TRUE(file.ok());
  // A folder where the temporary file should be: the write cannot begin.
  fs::create_directory(path("a.csv." + std::to_string(::getpid()) + ".tmp"));
  EXPECT_FALSE(file.value().write(rows_).ok());
  EXPECT_EQ(content(path("a.csv")), "old");
}

TEST_F(Output, sqlite_refuses_two_rows_for_one_url) {
  const auto file = OutputFile::prepare(path("a.sqlite"));
  EXPECT_FALSE(file.value().write({rows_[0], rows_[0]}).ok());
  EXPECT_THAT(files(), testing::IsEmpty());
}

}  // namespace
}  // namespace rask::scrape
