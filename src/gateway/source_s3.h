// A part of a bucket as the source of a Dataset.
#pragma once

#include <memory>

#include "gateway/source.h"
#include "model/rules.h"
#include "s3/access.h"

namespace spillway::gateway {

// Objects below the prefix are files; their paths are what follows it. A key that ends with '/' is
// the mark of a directory and no file. A key that is no relative path ("a//b", "../x", control
// characters) cannot be one either: List() refuses a selection that names it. Objects that were
// added after List() are not part of that version and do no harm.
//
// Reads name the ETag of the listing, so what is read is that version or an error. `access`
// outlives it. kInvalid for an endpoint that is none.
Result<std::unique_ptr<Source>> OpenS3Source(const S3Place& place, s3::Access& access);
// A client of the place's bucket.
Result<s3::Client> OpenBucket(const S3Place& place, s3::Access& access, s3::Patience patience = {});
// Of a client, for tests with a store of their own.
std::unique_ptr<Source> MakeS3Source(const S3Place& place, s3::Client client);

}  // namespace spillway::gateway
