#include "wire/spop_hello.h"

#include "wire/reader.h"
#include "wire/spop_data.h"

#define HEALTHCHECK_FRAME_SIZE 16380 /* what HAProxy offers there: its buffer less 4 */

/* The items of a HELLO that the agent reads, as they came. Of a repeated one the last counts. */
struct items {
	bool has_versions, has_frame_size;
	struct bytes versions;
	uint64_t frame_size;
	struct bytes capabilities;
	struct bytes engine_id;
	bool healthcheck;
};

static bool read_item(struct bytes *from, struct bytes *ret_name, struct spop_data *ret_data)
{
	return read_string(from, ret_name) && spop_data_read(from, ret_data);
}

static bool string_of(const struct spop_data *data, struct bytes *ret_string)
{
	if (data->type != SPOP_STR)
		return false;
	*ret_string = data->bytes;
	return true;
}

/* False when an item that is known has a wrong type; unknown items are skipped. */
static bool store_item(struct items *items, struct bytes name, const struct spop_data *data)
{
	if (bytes_equal(name, BYTES("supported-versions"))) {
		items->has_versions = true;
		return string_of(data, &items->versions);
	}
	if (bytes_equal(name, BYTES("max-frame-size"))) {
		items->has_frame_size = true;
		return spop_data_natural(data, &items->frame_size);
	}
	if (bytes_equal(name, BYTES("capabilities")))
		return string_of(data, &items->capabilities);
	if (bytes_equal(name, BYTES("engine-id")))
		return string_of(data, &items->engine_id);
	if (bytes_equal(name, BYTES("healthcheck"))) {
		items->healthcheck = data->type == SPOP_BOOL && data->boolean;
		return data->type == SPOP_BOOL;
	}
	return true;
}

static bool read_items(struct bytes payload, struct items *items)
{
	while (payload.len > 0) {
		struct bytes name;
		struct spop_data data;
		if (!read_item(&payload, &name, &data) || !store_item(items, name, &data))
			return false;
	}
	return true;
}

/* "2.0", "2", " 1.0, 2.1": any 2 or 2.x will do, since 2.0 is what it is answered with. */
static bool has_version_2(struct bytes versions)
{
	struct bytes version;

	while (bytes_next_item(&versions, ',', &version)) {
		version = bytes_trim(version);
		if (bytes_equal(version, BYTES("2")) || bytes_begin_with(version, BYTES("2.")))
			return true;
	}
	return false;
}

static bool has_capability(struct bytes capabilities, struct bytes name)
{
	struct bytes capability;

	while (bytes_next_item(&capabilities, ',', &capability))
		if (bytes_equal(bytes_trim(capability), name))
			return true;
	return false;
}

enum spop_status spop_hello_read(const struct spop_frame *frame, struct spop_hello *ret_hello)
{
	struct items items = {0};

	if (frame->type != SPOP_HAPROXY_HELLO)
		return SPOP_INVALID;
	if ((frame->flags & SPOP_FIN) == 0)
		return SPOP_FRAGMENTED;
	if (frame->stream_id != 0 || frame->frame_id != 0 || !read_items(frame->payload, &items))
		return SPOP_INVALID;
	if (!items.has_versions)
		return SPOP_NO_VERSION;
	if (!has_version_2(items.versions))
		return SPOP_BAD_VERSION;
	if (!items.has_frame_size)
		return SPOP_NO_FRAME_SIZE;
	if (items.frame_size < SPOP_FRAME_LIMIT_MIN)
		return SPOP_BAD_FRAME_SIZE;
	*ret_hello = (struct spop_hello){
		.max_frame_size =
			items.frame_size > UINT32_MAX ? UINT32_MAX : (uint32_t)items.frame_size,
		.pipelining = has_capability(items.capabilities, BYTES("pipelining")),
		.healthcheck = items.healthcheck,
		.engine_id = items.engine_id,
	};
	return SPOP_NORMAL;
}

static void put_item(struct writer *w, struct bytes name, struct spop_data data)
{
	spop_put_string(w, name);
	spop_data_put(w, &data);
}

void spop_put_agent_hello(struct writer *w, uint32_t max_frame_size, bool pipelining)
{
	size_t begin = spop_frame_begin(w, SPOP_AGENT_HELLO, 0, 0);

	put_item(w, BYTES("version"), spop_str(BYTES("2.0")));
	put_item(w, BYTES("max-frame-size"), spop_uint32(max_frame_size));
	put_item(w, BYTES("capabilities"), spop_str(pipelining ? BYTES("pipelining") : BYTES("")));
	spop_frame_end(w, begin);
}

void spop_put_agent_disconnect(struct writer *w, enum spop_status status, const char *message)
{
	size_t begin = spop_frame_begin(w, SPOP_AGENT_DISCONNECT, 0, 0);

	put_item(w, BYTES("status-code"), spop_uint32(status));
	put_item(w, BYTES("message"), spop_str(bytes_from_text(message)));
	spop_frame_end(w, begin);
}

bool spop_disconnect_read(struct bytes payload, uint64_t *ret_status, struct bytes *ret_message)
{
	bool has_status = false;
	uint64_t status = SPOP_UNKNOWN;
	struct bytes message = BYTES("");

	while (payload.len > 0) {
		struct bytes name;
		struct spop_data data;
		if (!read_item(&payload, &name, &data))
			return false;
		if (bytes_equal(name, BYTES("status-code")))
			has_status = spop_data_natural(&data, &status);
		if (bytes_equal(name, BYTES("message")) && data.type == SPOP_STR)
			message = data.bytes;
	}
	if (!has_status)
		return false;
	*ret_status = status;
	*ret_message = message;
	return true;
}

void spop_put_healthcheck(struct writer *w)
{
	size_t begin = spop_frame_begin(w, SPOP_HAPROXY_HELLO, 0, 0);

	put_item(w, BYTES("supported-versions"), spop_str(BYTES("2.0")));
	put_item(w, BYTES("max-frame-size"), spop_uint32(HEALTHCHECK_FRAME_SIZE));
	put_item(w, BYTES("capabilities"), spop_str(BYTES("")));
	put_item(w, BYTES("healthcheck"), spop_bool(true));
	spop_frame_end(w, begin);
}

bool spop_agent_hello_is_good(struct bytes payload)
{
	bool has_version = false, has_frame_size = false;

	while (payload.len > 0) {
		struct bytes name;
		struct spop_data data;
		uint64_t size;
		if (!read_item(&payload, &name, &data))
			return false;
		if (bytes_equal(name, BYTES("version")))
			has_version =
				data.type == SPOP_STR && bytes_equal(data.bytes, BYTES("2.0"));
		if (bytes_equal(name, BYTES("max-frame-size")))
			has_frame_size = spop_data_natural(&data, &size) &&
					 size >= SPOP_FRAME_LIMIT_MIN &&
					 size <= HEALTHCHECK_FRAME_SIZE;
	}
	return has_version && has_frame_size;
}
