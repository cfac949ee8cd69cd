// The checkpoint file: what goes in comes out, what has changed is refused.
#include "layers/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "layers/models.h"
#include "layers/weights.h"

namespace convoy {
namespace {

namespace fs = std::filesystem;

class CheckpointFile : public testing::Test {
 protected:
  void SetUp() override {
    write_checkpoint(path_, *net_, {*optimizer_}, {{"step", "7"}, {"config", "{\"sha256\":\"x\"}"}});
  }
  void TearDown() override { fs::remove(path_); }

  static std::unique_ptr<Module> make_net(const char* model = "conv 2 3x3; bn; relu; flatten; linear 3") {
    std::unique_ptr<Module> net = make_model(model, {5, 5, 1}, 3);
    initialise(*net, 1);
    return net;
  }
  static std::unique_ptr<Optimizer> make_optimizer(const Module& net, bool adam = true) {
    std::vector<Variable> variables;
    for (const NamedVariable& parameter : net.parameters()) variables.push_back(parameter.variable);
    auto optimizer = adam ? make_adam(variables, {}) : make_sgd(variables, {.momentum = 0.9f});
    float value = 1;
    for (NamedTensor& entry : optimizer->state()) {
      if (entry.tensor.dtype() != DType::f32) continue;
      for (int64_t i = 0; i < entry.tensor.count(); ++i) entry.tensor.data<float>()[i] = value++;
    }
    return optimizer;
  }
  std::string bytes() const {
    std::ostringstream text;
    text << std::ifstream(path_, std::ios::binary).rdbuf();
    return text.str();
  }
  std::string refusal() const {
    try {
      read_checkpoint(path_);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return error.what();
    }
    return "accepted";
  }

  const fs::path path_ = fs::temp_directory_path() / fmt::format("convoy_checkpoint_{}.safetensors", getpid());
  const std::unique_ptr<Module> net_ = make_net();
  const std::unique_ptr<Optimizer> optimizer_ = make_optimizer(*net_);
};

TEST_F(CheckpointFile, gives_back_weights_optimizer_and_facts) {
  const Checkpoint checkpoint = read_checkpoint(path_);
  EXPECT_EQ(checkpoint.fact("step"), "7");
  const std::unique_ptr<Module> net = make_net();
  initialise(*net, 2);
  checkpoint.load(*net);
  for (size_t i = 0; i < net->parameters().size(); ++i) {
    const Tensor &mine = net_->parameters()[i].variable.value(), &other = net->parameters()[i].variable.value();
    EXPECT_EQ(std::memcmp(mine.raw(), other.raw(), static_cast<size_t>(mine.bytes())), 0) << i;
  }
  const std::unique_ptr<Optimizer> fresh = make_optimizer(*net);
  for (NamedTensor& entry : fresh->state())
    std::memset(entry.tensor.raw(), 0, static_cast<size_t>(entry.tensor.bytes()));
  checkpoint.load(*fresh);
  const auto expected = optimizer_->state(), state = fresh->state();
  for (size_t i = 0; i < state.size(); ++i)
    EXPECT_EQ(
        std::memcmp(state[i].tensor.raw(), expected[i].tensor.raw(), static_cast<size_t>(state[i].tensor.bytes())), 0)
        << state[i].name;
}

TEST_F(CheckpointFile, is_a_file_of_weights_too) {
  const std::unique_ptr<Module> net = make_net();
  EXPECT_NO_THROW(load_weights(*net, path_));
}

TEST_F(CheckpointFile, every_flipped_byte_and_every_missing_end_is_noticed) {
  const std::string whole = bytes();
  for (size_t at = 0; at < whole.size(); at += at < 2000 ? 7 : 101) {
    std::string changed = whole;
    changed[at] = static_cast<char>(changed[at] ^ 0x10);
    std::ofstream(path_, std::ios::binary) << changed;
    ASSERT_NE(refusal(), "accepted") << "byte " << at;
    std::ofstream(path_, std::ios::binary) << whole.substr(0, at);
    ASSERT_NE(refusal(), "accepted") << at << " bytes";
  }
}

TEST_F(CheckpointFile, tells_what_is_wrong) {
  std::string changed = bytes();
  changed.back() = static_cast<char>(changed.back() ^ 1);
  std::ofstream(path_, std::ios::binary) << changed;
  EXPECT_EQ(refusal().find(path_.string() + ": damaged: its SHA-256 is "), 0u) << refusal();
  changed = bytes();
  const std::string version = "\"version\":\"";
  changed[changed.find(version) + version.size()] = '3';
  std::ofstream(path_, std::ios::binary) << changed;
  EXPECT_EQ(refusal(), path_.string() + ": has format version 3, this convoy reads versions 1 and 2");
  save_weights(*net_, path_);
  EXPECT_EQ(refusal(), path_.string() + ": is not a checkpoint");
}

TEST_F(CheckpointFile, keeps_averaged_trained_and_best_weights_apart) {
  const auto first_weight = [](const Module& net) { return net.parameters()[0].variable.value().data<float>()[0]; };
  const auto set = [](Module& net, float value) { net.parameters()[0].variable.value().data<float>()[0] = value; };
  EXPECT_EQ(read_checkpoint(path_).fact("version"), "1");
  set(*net_, 2);
  WeightCopy training(*net_);
  set(*net_, 3);
  WeightCopy best(*net_);
  set(*net_, 1);  // the average
  write_checkpoint(path_, *net_, {.optimizer = *optimizer_, .training = &training, .best = &best}, {});
  const Checkpoint checkpoint = read_checkpoint(path_);
  EXPECT_EQ(checkpoint.fact("version"), "2");
  const std::unique_ptr<Module> net = make_net();
  load_weights(*net, path_);
  EXPECT_EQ(first_weight(*net), 1);
  checkpoint.load(*net);
  EXPECT_EQ(first_weight(*net), 2);
  WeightCopy average(*net), kept(*net);
  const std::unique_ptr<Optimizer> optimizer = make_optimizer(*net);
  checkpoint.load(TrainingParts{.optimizer = *optimizer, .training = &average, .best = &kept});
  average.give();
  EXPECT_EQ(first_weight(*net), 1);
  kept.give();
  EXPECT_EQ(first_weight(*net), 3);
}

TEST_F(CheckpointFile, quotes_what_it_finds_on_one_line) {
  TensorFile file{.tensors = {}, .metadata = {{"format", "convoy-checkpoint"}, {"version", "1\n2"}}};
  write_safetensors(path_, file);
  EXPECT_EQ(refusal(), path_.string() + ": has format version 1?2, this convoy reads versions 1 and 2");
  add_weights(weights_of(*net_), file);
  file.tensors["extra\nname"] = Tensor::zeros({1});
  try {
    load_weights(weights_of(*net_), file, "file");
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()).find("file: 'extra?name' is not part of the model"), 0u) << error.what();
  }
}

TEST_F(CheckpointFile, another_optimizer_is_refused) {
  const Checkpoint checkpoint = read_checkpoint(path_);
  const auto refusal_by = [&](Optimizer& optimizer) {
    try {
      checkpoint.load(optimizer);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string where = path_.string();
  EXPECT_EQ(refusal_by(*make_optimizer(*net_, false)), where + ": no tensor 'optimizer.0.momentum'");
  const std::unique_ptr<Module> wider = make_net("conv 4 3x3; bn; relu; flatten; linear 3");
  EXPECT_EQ(refusal_by(*make_optimizer(*wider)).find(where + ": 'optimizer.0.first' is f32 "), 0u);
  EXPECT_EQ(refusal_by(*make_sgd({net_->parameters()[0].variable}, {})),
            where + ": has 13 tensors of an optimizer's state, the optimizer expects 0");
}

}  // namespace
}  // namespace convoy
