#include "app/replay/replay_gunzip.h"

#define GZIP_FIRST_BYTE 0x1f
#define GZIP_ONLY       (15 + 16) /* zlib.h: the largest window, and a gzip header */

bool replay_gunzip_init(struct replay_gunzip *gunzip)
{
	*gunzip = (struct replay_gunzip){.is_inside = true};
	return inflateInit2(&gunzip->stream, GZIP_ONLY) == Z_OK;
}

void replay_gunzip_release(struct replay_gunzip *gunzip)
{
	(void)inflateEnd(&gunzip->stream);
}

static void skip_zeros(struct bytes *input)
{
	while (input->len > 0 && input->data[0] == 0)
		*input = bytes_skip(*input, 1);
}

/* Behind a member another one begins, or there are zeros up to the end. */
static bool begin_member(struct replay_gunzip *gunzip, struct bytes *input, struct err *err)
{
	gunzip->is_in_zeros |= input->data[0] == 0;
	if (!gunzip->is_in_zeros && input->data[0] == GZIP_FIRST_BYTE) {
		gunzip->is_inside = true;
		return inflateReset(&gunzip->stream) == Z_OK ||
		       err_set(err, "zlib can't begin a gzip member");
	}
	if (gunzip->is_in_zeros)
		skip_zeros(input);
	return input->len == 0 || err_set(err, "there are other bytes behind the end of gzip");
}

static bool inflate_more(struct replay_gunzip *gunzip, struct bytes *input, struct writer *output,
			 struct err *err)
{
	z_stream *stream = &gunzip->stream;

	stream->next_in = (z_const Bytef *)input->data;
	stream->avail_in = (uInt)input->len;
	stream->next_out = output->data + output->len;
	stream->avail_out = (uInt)(output->max - output->len);
	int result = inflate(stream, Z_NO_FLUSH);
	*input = bytes_skip(*input, input->len - stream->avail_in);
	output->len = output->max - stream->avail_out;
	gunzip->is_inside = result != Z_STREAM_END;
	gunzip->has_more = gunzip->is_inside && stream->avail_out == 0;
	if (result == Z_OK || result == Z_STREAM_END || result == Z_BUF_ERROR)
		return true;
	return err_set(err, "not valid gzip: %s",
		       stream->msg != NULL ? stream->msg : "its data is broken");
}

bool replay_gunzip_more(struct replay_gunzip *gunzip, struct bytes *input, struct writer *output,
			struct err *err)
{
	while ((input->len > 0 || gunzip->has_more) && output->len < output->max) {
		if (!gunzip->is_inside && !begin_member(gunzip, input, err))
			return false;
		if (gunzip->is_inside && !inflate_more(gunzip, input, output, err))
			return false;
	}
	return true;
}
