// GPUs by the flavor names of the Sovereign Cloud Stack: "SCS-16V-64-500s_GNa-64h" has one of
// NVIDIA's Ampere generation with 64 streaming multiprocessors and fast memory. The name tells
// neither product nor number: the product is the configuration's, the number one.
// https://docs.scs.community/standards/scs-0100-v3-flavor-naming
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace spillway::openstack {

// What the name calls its GPU, in small letters, the most exact first: "gna-64h", "gna-64", "gna".
// With a v before for a part of one ("_gNa-14h": "vgna-14h"). Empty: it names none.
std::vector<std::string> ScsGpuNames(std::string_view flavor);

}  // namespace spillway::openstack
