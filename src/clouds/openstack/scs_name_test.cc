#include "clouds/openstack/scs_name.h"

#include <gmock/gmock.h>

namespace spillway::openstack {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ScsName, NamesItsGpuTheMostExactFirst) {
  EXPECT_THAT(ScsGpuNames("SCS-16V-64-500_GNa-64h"), ElementsAre("gna-64h", "gna-64", "gna"));
  EXPECT_THAT(ScsGpuNames("SCS-16T-64-200s_GNa-64_ib"), ElementsAre("gna-64", "gna"));
  EXPECT_THAT(ScsGpuNames("SCS-2C-4-_bms_z3h_GNl-142hh-48"),
              ElementsAre("gnl-142hh-48", "gnl-142hh", "gnl-142", "gnl"));
  EXPECT_THAT(ScsGpuNames("SCS-16V-64-500s_gNa-14h"), ElementsAre("vgna-14h", "vgna-14", "vgna"));
  EXPECT_THAT(ScsGpuNames("SCS-16V-64_GN"), ElementsAre("gn"));
}

TEST(ScsName, NamesNoneWhereThereIsNone) {
  for (const char* name : {"", "SCS-", "SCS-4V-16-50", "SCS-2C-4-10n_bms_z3h_ib", "SCS-4V-16_G",
                           "SCS-4V-16_", "gp1_GNa-64", "SCS-4V-16_GXa-64"})
    EXPECT_THAT(ScsGpuNames(name), IsEmpty()) << name;
}

}  // namespace
}  // namespace spillway::openstack
