// The account at a FakeOpenStack that tests begin with: one region, one flavor with a GPU and its
// price. Image, network and security groups are each test's own.
#pragma once

#include "clouds/openstack/fake_openstack.h"
#include "clouds/openstack/openstack_cloud.h"

namespace spillway::openstack {

inline OpenStackOptions FakeAccount() {
  OpenStackOptions options;
  options.cloud = FakeOpenStack::Config();
  options.offers.provider = "lab";
  options.offers.catalog = "lab";
  options.offers.region = {"here-1", "NL", "EU", "Amsterdam"};
  options.offers.gpus = {{"a100", {"NVIDIA-A100-SXM4-80GB", 81920, 550}}};
  options.offers.flavors = {{"gpu.a100.1", Money::Cents(215), "", 0}};
  return options;
}

// A machine of it.
inline ports::InstanceSpec FakeSpec(const std::string& name) {
  ports::InstanceSpec spec;
  spec.name = name;
  spec.region = "here-1";
  spec.instance_type = "gpu.a100.1";
  return spec;
}

}  // namespace spillway::openstack
