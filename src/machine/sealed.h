// The volume for everything that could hold plaintext on the machine: a file on its disk under
// dm-crypt (AES-XTS) with a key that exists in the kernel's memory only.
#pragma once

#include <string>

#include "base/result.h"

namespace spillway::machine {

// Makes it as large as nine tenths of what is free below `directory`, mounts it at kSealed, and
// puts on it what kubelet and containerd write: /var/lib/kubelet, /var/lib/containerd,
// /var/log/pods, /var/log/containers and /var/tmp. /tmp becomes memory.
Status MountSealed(const std::string& directory);

// Destroys the key: from now on nobody reads the volume, who uses it now waits for ever. Power must
// be cut afterwards. Ok when there is none.
Status DestroySealed();

}  // namespace spillway::machine
