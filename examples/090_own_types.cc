// Own types cross between processes: plain structs as they are, others with a codec, and functions
// that have no name get one. Prints:
//   the mean of 3 measurements is 294.15 K
//   in Celsius: 21
#include <rask/rask.h>

#include <iostream>
#include <string>
#include <vector>

class Temperature {  // Has private parts, so rask cannot look inside: see its codec below.
 public:
  Temperature() = default;
  explicit Temperature(double kelvin) : kelvin_(kelvin) {}
  double kelvin() const { return kelvin_; }

 private:
  double kelvin_ = 0;
};

template <>
struct rask::Codec<Temperature> {
  static void encode(Encoder& out, const Temperature& t) { rask::encode(out, t.kelvin()); }
  static bool decode(Decoder& in, Temperature& t) {
    double kelvin = 0;
    if (!rask::decode(in, kelvin)) return false;
    if (kelvin < 0) return in.fail("a temperature above zero, not one below");
    t = Temperature{kelvin};
    return true;
  }
};

struct Measurement {  // Plain: nothing to do.
  std::string station;
  Temperature temperature;
};

Temperature mean(const std::vector<Measurement>& measurements) {
  double total = 0;
  for (const Measurement& one : measurements) total += one.temperature.kelvin();
  return Temperature{total / static_cast<double>(measurements.size())};
}

// Every process of the cluster registers it: this line runs before main, and before rask::init.
const auto to_celsius = rask::register_function(
    "to_celsius", [zero = 273.15](const Temperature& t) { return t.kelvin() - zero; });

int main(int argc, char** argv) {
  rask::init(argc, argv);
  rask::Client client{{.n_workers = 2}};

  const std::vector<Measurement> measurements = {{"north", Temperature{290.15}},
                                                 {"east", Temperature{294.15}},
                                                 {"south", Temperature{298.15}}};
  auto average = client.submit<mean>(measurements);
  std::cout << "the mean of 3 measurements is " << average.result().kelvin() << " K\n";
  std::cout << "in Celsius: " << client.submit(to_celsius, average).result() << "\n";
}
