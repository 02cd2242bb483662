// A graph made by hand, with keys of our own; only what is needed runs. Prints:
//   report: 3 words, 14 letters
//   words alone: 3
#include <rask/rask.h>

#include <iostream>
#include <sstream>
#include <string>

std::string load(const std::string& name) { return "delayed " + name + " graph"; }
int count_words(const std::string& text) {
  std::istringstream words{text};
  int count = 0;
  for (std::string word; words >> word;) ++count;
  return count;
}
int count_letters(const std::string& text) {
  int count = 0;
  for (char c : text) count += c == ' ' ? 0 : 1;
  return count;
}
std::string report(int words, int letters) {
  return std::to_string(words) + " words, " + std::to_string(letters) + " letters";
}

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2}};

  rask::Graph graph;
  auto text = graph.add<load>("load", "as");
  auto words = graph.add<count_words>("words", text);
  auto letters = graph.add<count_letters>("letters", text);
  auto summary = graph.add<report>("report", words, letters);

  auto [all, some] = client.compute(graph, summary, words);  // What they share runs once.
  std::cout << "report: " << all.result() << "\n";
  std::cout << "words alone: " << some.result() << "\n";
}
