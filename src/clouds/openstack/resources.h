// What a server is made of besides a flavor, by the names that people use: images, networks and
// security groups; and the ports that stay of it.
// https://docs.openstack.org/api-ref/image/v2/  https://docs.openstack.org/api-ref/network/v2/
#pragma once

#include <string>
#include <vector>

#include "clouds/openstack/session.h"

namespace spillway::openstack {

// The items of a list that a service gives whole, and removing one thing (Ok if there is none).
Result<json::array> ListOf(Session& session, Service service, std::string path,
                           std::string_view member);
Status Remove(Session& session, Service service, std::string path);

// True for 8-4-4-4-12 hexadecimal digits: an id, not a name.
bool IsUuid(std::string_view text);

// The id of the active image with this name or id; of several with one name the newest, since
// clouds replace their images under the same name. kNotFound if there is none.
Result<std::string> FindImage(Session& session, const std::string& name_or_id);

// The id of the network. kNotFound if there is none, kInvalid if several have the name.
Result<std::string> FindNetwork(Session& session, const std::string& name_or_id);

// The id of an external network, from which floating IPs come. Errors as above.
Result<std::string> FindExternalNetwork(Session& session, const std::string& name_or_id);

// Ok if the project has a security group of this name or id. kNotFound if not.
Status FindSecurityGroup(Session& session, const std::string& name_or_id);

// Ids of the ports that belong to a server. Nova makes and deletes them; one that is still there
// when the server is gone was left behind.
Result<std::vector<std::string>> PortsOf(Session& session, const std::string& server_id);
Status DeletePort(Session& session, const std::string& id);  // Ok if there is none

}  // namespace spillway::openstack
