/* The last bytes of an artifact: what the compiler's driver appends after
 * linking and the runtime checks before it maps anything executable. An ELF
 * loader never looks there. Little endian, no padding. */
#ifndef SQ_RUNTIME_CORE_TRAILER_H
#define SQ_RUNTIME_CORE_TRAILER_H

#include <stdint.h>

#define SQ_TRAILER_MAGIC "SQTRAIL1"
#define SQ_TRAILER_VERSION 1
/* Of the manifest; raised when an old runtime could misread a new manifest. */
#define SQ_FORMAT_VERSION 5

typedef struct sq_hash128 {
  uint64_t low, high; /* XXH3-128 */
} sq_hash128;

typedef struct sq_trailer {
  char magic[8];
  uint32_t version;
  uint32_t size;            /* sizeof(sq_trailer) */
  uint64_t payload_size;    /* of the ELF file before the trailer */
  uint64_t weights_offset;  /* in the file; 0 with size 0 when there are none */
  uint64_t weights_size;
  uint64_t manifest_offset;
  uint64_t manifest_size;
  sq_hash128 code_hash;     /* of the payload without the weights */
  sq_hash128 weights_hash;
  sq_hash128 self_hash;     /* of all fields before this one */
} sq_trailer;

#ifdef __cplusplus
static_assert(sizeof(sq_trailer) == 104, "the trailer is a file format");
#endif
#endif
