// Api and Watches over kube::Client: the real API server.
#pragma once

#include <memory>

#include "kube/client.h"
#include "kubernetes/api.h"

namespace spillway::kubernetes {

// The client is shared: it limits its calls as a whole.
std::shared_ptr<Api> MakeApi(std::shared_ptr<kube::Client> client);
std::shared_ptr<Watches> MakeWatches(std::shared_ptr<kube::Client> client);

}  // namespace spillway::kubernetes
