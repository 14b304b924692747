// Providers: the simulated clouds of one run, with their faults counted where they show.
#pragma once

#include <string>
#include <vector>

#include "clouds/simulated/cloud_model.h"
#include "sim/context.h"

namespace spillway::sim {

class Providers {
 public:
  explicit Providers(Context& context);

  std::size_t size() const { return clouds_.size(); }
  simulated::CloudModel& cloud(std::size_t i) { return clouds_[i]; }
  const simulated::CloudModel& cloud(std::size_t i) const { return clouds_[i]; }
  const std::string& name(std::size_t i) const { return clouds_[i].facts().id; }
  // Index of the CloudProvider of that name.
  std::size_t Find(const std::string& name) const;

  // The calls of ports::Cloud; true time.
  Result<ports::Instance> Create(std::size_t provider, const ports::InstanceSpec& spec);
  Status Resume(std::size_t provider, const std::string& instance_id);
  Result<ports::Inventory> List(std::size_t provider);
  Result<ports::DeleteProgress> Delete(std::size_t provider, const std::string& instance_id,
                                       const std::string& name);

  // From now on every call works; what was drawn for machines before stays drawn.
  void Calm();
  // Nothing exists anywhere, and nothing will come to be by a late create.
  bool Empty() const;

 private:
  simulated::CloudOptions Options(std::size_t provider, bool calm) const;
  void CountRefusal(const Error& error);
  // Schedules the boot of machines whose time of running became known.
  void NoteBoots(std::size_t provider);

  Context& context_;
  std::vector<simulated::CloudModel> clouds_;
  std::vector<std::vector<bool>> boot_noted_;  // by provider and machine number
};

}  // namespace spillway::sim
