#include "runtime/plan/plan.h"

#include "runtime/plan/bytes.h"

namespace dnn::plan {

using runtime::ByteReader;
using runtime::ByteWriter;

namespace {

constexpr char magic[8] = {'d', 'n', 'n', 'p', 'l', 'a', 'n', '\n'};
constexpr uint32_t version = 4;

// Writing and reading are the same walk: a Coder visits every member in order, and either appends it or fills it in. So
// the two can never differ.
struct Encoder {
  ByteWriter out;
  template <class T> void number(const T& value) { out.number(value); }
  void boolean(const bool& value) { out.number(static_cast<uint8_t>(value)); }
  template <class T> void kind(const T& value, T) { out.number(value); }
  void string(const std::string& value) { out.string(value); }
  void bytes(const std::vector<uint8_t>& value) {
    out.number(static_cast<uint64_t>(value.size()));
    out.raw(value.data(), value.size());
  }
  template <class T, class Visit> void list(const std::vector<T>& values, Visit visit) {
    out.number(static_cast<uint32_t>(values.size()));
    for (const T& value : values) {
      visit(value);
    }
  }
};

struct Decoder {
  ByteReader in;
  template <class T> void number(T& value) { value = in.number<T>(); }
  void boolean(bool& value) {
    auto byte = in.number<uint8_t>();
    if (byte > 1) {
      in.fail();
    }
    value = byte == 1;
  }
  template <class T> void kind(T& value, T last) {
    value = in.number<T>();
    if (value > last) {
      in.fail();
    }
  }
  void string(std::string& value) { value = in.string(); }
  void bytes(std::vector<uint8_t>& value) {
    auto size = in.number<uint64_t>();
    if (const uint8_t* data = in.raw(size)) {
      value.assign(data, data + size);
    }
  }
  template <class T, class Visit> void list(std::vector<T>& values, Visit visit) {
    uint32_t count = in.count(1);
    values.clear();
    for (uint32_t i = 0; i < count && in.ok(); ++i) {
      visit(values.emplace_back());
    }
  }
};

// Each takes a plan's part as `auto&` so that it is const for the encoder.
template <class Coder> void codeDims(Coder& c, auto& dims) {
  c.list(dims, [&](auto& dim) { c.number(dim); });
}

template <class Coder> void codeStrings(Coder& c, auto& strings) {
  c.list(strings, [&](auto& text) { c.string(text); });
}

template <class Coder> void codePersistent(Coder& c, auto& p) {
  c.kind(p.kind, Persistent::Kind::OptimizerState);
  c.string(p.path);
  c.kind(p.dtype, lastDType);
  codeDims(c, p.dims);
  c.number(p.offset);
  c.number(p.follows);
}

template <class Coder> void codeEvery(Coder& c, auto& every) {
  c.number(every.count);
  c.boolean(every.steps);
}

template <class Coder> void codePort(Coder& c, auto& p) {
  c.string(p.name);
  c.kind(p.dtype, lastDType);
  c.boolean(p.batched);
  codeDims(c, p.dims);
  c.list(p.varying, [&](auto& extent) {
    c.number(extent.dim);
    c.number(extent.constant);
    c.list(extent.terms, [&](auto& term) {
      c.number(term.symbol);
      c.number(term.factor);
    });
  });
  c.number(p.lengthOf);
  c.number(p.bound);
  c.string(p.text);
  c.number(p.offset);
  c.boolean(p.image);
  codeEvery(c, p.every);
}

template <class Coder> void codePorts(Coder& c, auto& ports) {
  c.list(ports, [&](auto& port) { codePort(c, port); });
}

template <class Coder> void codeEntry(Coder& c, auto& e) {
  c.kind(e.kind, Entry::Kind::Whole);
  c.string(e.name);
  c.number(e.batch);
  c.boolean(e.rowwise);
  codePorts(c, e.inputs);
  codePorts(c, e.outputs);
  codeDims(c, e.lengths);
  codeStrings(c, e.sources);
  codeEvery(c, e.every);
  codePorts(c, e.collected);
  c.list(e.reads, [&](auto& index) { c.number(index); });
  c.list(e.watchedPersistents, [&](auto& index) { c.number(index); });
  c.list(e.watchedTables, [&](auto& index) { c.number(index); });
  c.list(e.watchedOutputs, [&](auto& index) { c.number(index); });
}

template <class Coder> void codeSource(Coder& c, auto& s) {
  c.kind(s.kind, Source::Kind::Images);
  c.string(s.name);
  codeStrings(c, s.paths);
  codePorts(c, s.fields);
  c.list(s.columns, [&](auto& column) {
    c.list(column.runs, [&](auto& run) {
      c.string(run.first);
      c.string(run.last);
    });
    c.boolean(column.tokens);
    c.boolean(column.categorical);
    c.boolean(column.missingCategory);
    codeStrings(c, column.categories);
    c.list(column.fills, [&](auto& fill) { c.number(fill); });
  });
  c.number(s.maxLength);
  c.boolean(s.bucket);
  c.kind(s.text.unit, TextRule::Unit::Word);
  c.boolean(s.text.lines);
  c.number(s.text.window);
  c.number(s.text.stride);
  c.boolean(s.text.unknown);
  codeStrings(c, s.vocabulary);
  codeStrings(c, s.members);
  codeStrings(c, s.offsets);
  c.number(s.labels);
  c.boolean(s.coarse);
  codeStrings(c, s.classes);
  c.boolean(s.resize);
  c.number(s.split);
  c.number(s.fold);
  c.number(s.folds);
  c.number(s.splitSeed);
  c.list(s.table, [&](auto& field) { c.bytes(field); });
  c.number(s.rows);
  c.number(s.knownRows);
  c.number(s.generateEntry);
  c.number(s.seed);
  c.boolean(s.fresh);
  c.number(s.batch);
  c.boolean(s.shuffle);
  c.list(s.statistics, [&](auto& statistic) {
    c.kind(statistic.kind, Statistic::Kind::Deviation);
    c.number(statistic.field);
    c.number(statistic.persistent);
  });
}

template <class Coder> void codePhase(Coder& c, auto& p) {
  c.string(p.name);
  c.list(p.turns, [&](auto& turn) { c.list(turn.cycle, [&](auto& entry) { c.number(entry); }); });
  c.list(p.evals, [&](auto& entry) { c.number(entry); });
  c.number(p.epochs);
  c.number(p.steps);
  c.number(p.patience.epochs);
  c.string(p.patience.metric);
  c.boolean(p.patience.restoreBest);
  c.number(p.plateau.epochs);
  c.string(p.plateau.metric);
  c.number(p.plateau.persistent);
  c.list(p.inits, [&](auto& rule) {
    c.string(rule.target);
    c.string(rule.path);
    c.string(rule.source);
  });
  c.boolean(p.keepStart);
}

template <class Coder> void codePlan(Coder& c, auto& p) {
  c.string(p.program);
  c.list(p.variant, [&](auto& setting) {
    c.string(setting.name);
    c.string(setting.value);
  });
  c.string(p.directory);
  c.string(p.fingerprint);
  c.string(p.target);
  c.string(p.compilerVersion);
  c.number(p.persistentBytes);
  c.number(p.arenaBytes);
  c.list(p.persistents, [&](auto& persistent) { codePersistent(c, persistent); });
  c.list(p.entries, [&](auto& entry) { codeEntry(c, entry); });
  c.list(p.sources, [&](auto& source) { codeSource(c, source); });
  c.number(p.seed);
  c.list(p.phases, [&](auto& phase) { codePhase(c, phase); });
  c.string(p.checkpoint.path);
  codeEvery(c, p.checkpoint.every);
  c.string(p.checkpoint.best);
  c.boolean(p.checkpoint.bestIsLargest);
  c.list(p.parts, [&](auto& part) {
    c.string(part.path);
    c.string(part.part);
    codeEvery(c, part.every);
  });
}

} // namespace

std::string variantPath(const Plan& plan, const std::string& path) {
  if (plan.variant.empty() || path.empty()) {
    return path;
  }
  std::string name;
  for (const Setting& setting : plan.variant) {
    name += (name.empty() ? "." : ",") + setting.name + "=" + setting.value;
  }
  size_t dot = path.rfind('.');
  size_t slash = path.rfind('/');
  bool extension = dot != std::string::npos && dot > 0 && (slash == std::string::npos || dot > slash + 1);
  return extension ? path.substr(0, dot) + name + path.substr(dot) : path + name;
}

std::vector<uint8_t> encode(const Plan& plan) {
  std::vector<uint8_t> bytes;
  Encoder encoder{ByteWriter(bytes)};
  encoder.out.raw(magic, sizeof magic);
  encoder.out.number(version);
  codePlan(encoder, plan);
  return bytes;
}

bool decode(const uint8_t* bytes, uint64_t size, Plan& plan, std::string& error) {
  Decoder decoder{ByteReader(bytes, size)};
  const uint8_t* start = decoder.in.raw(sizeof magic);
  if (start == nullptr || std::memcmp(start, magic, sizeof magic) != 0) {
    error = "these bytes are not a plan";
    return false;
  }
  if (decoder.in.number<uint32_t>() != version) {
    error = "the plan was written by another version of the compiler; compile the program again";
    return false;
  }
  Plan result;
  codePlan(decoder, result);
  if (!decoder.in.ok() || decoder.in.remaining() != 0) {
    error = "the plan is damaged; compile the program again";
    return false;
  }
  plan = std::move(result);
  return true;
}

} // namespace dnn::plan
