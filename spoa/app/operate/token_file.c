#include "app/operate/token_file.h"

#include <string.h>

#include "app/secret_file.h"

#define ASKER_OPTION  "--http-token-file: "
#define ADMINS_OPTION "--admin-token-file: "
#define ADMINS_MAX    (HTTP_TOKENS_MAX * (HTTP_TOKEN_NAME_MAX + HTTP_TOKEN_MAX + 2))

/* ---- the texts ---- */

/* A token is compared with a header field, and a name is logged: both are visible ASCII. */
static bool is_word(struct bytes text, size_t max)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f)
			return false;
	return text.len > 0 && text.len <= max;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static struct bytes trim_blanks(struct bytes text)
{
	while (text.len > 0 && is_blank(text.data[0]))
		text = bytes_skip(text, 1);
	while (text.len > 0 && is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

static struct bytes cut_word(struct bytes *line)
{
	size_t len = 0;

	while (len < line->len && !is_blank(line->data[len]))
		len++;
	struct bytes word = bytes_from(line->data, len);
	*line = trim_blanks(bytes_skip(*line, len));
	return word;
}

/* NULL, or what is wrong with the line. */
static const char *add_line(struct http_tokens *tokens, struct bytes line)
{
	struct bytes name = cut_word(&line);
	const struct http_token *other = http_tokens_find(tokens, line);

	if (!is_word(name, HTTP_TOKEN_NAME_MAX))
		return "the name is no 1 to 64 printable characters";
	if (!is_word(line, HTTP_TOKEN_MAX))
		return "accepted is NAME TOKEN, with a token of 1 to 512 printable characters";
	if (other != NULL)
		return "another line has this token";
	return http_tokens_add(tokens, name, line) ? NULL : "more than 256 tokens";
}

bool token_file_parse_admins(struct bytes text, struct http_tokens *ret_tokens, struct err *err)
{
	struct bytes line;
	size_t number = 0;

	ret_tokens->is_set = true;
	ret_tokens->count = 0;
	if (bytes_begin_with(text, BYTES("\xef\xbb\xbf")))
		return err_set(err, "begins with a byte order mark (BOM); save it without one");
	while (bytes_next_item(&text, '\n', &line)) {
		number++;
		line = trim_blanks(line);
		if (line.len == 0 || line.data[0] == '#')
			continue;
		const char *why = add_line(ret_tokens, line);
		if (why != NULL)
			return err_set(err, "line %zu: %s", number, why);
	}
	return true;
}

static bool set_asker(const char *path, const char *line, struct http_tokens *ret_tokens,
		      struct err *err)
{
	struct bytes token = bytes_from_text(line);

	if (!is_word(token, HTTP_TOKEN_MAX))
		return err_set(err, "%s: accepted are printable characters without spaces", path);
	ret_tokens->is_set = true;
	ret_tokens->count = 0;
	return http_tokens_add(ret_tokens, BYTES(""), token);
}

/* ---- at the start ---- */

bool token_file_read_asker(const char *path, struct http_tokens *ret_tokens, struct err *err)
{
	char line[HTTP_TOKEN_MAX + 1];

	return (secret_file_read(path, line, sizeof line, err) &&
		set_asker(path, line, ret_tokens, err)) ||
	       err_at(err, ASKER_OPTION);
}

bool token_file_read_admins(const char *path, struct http_tokens *ret_tokens, struct err *err)
{
	char text[ADMINS_MAX];
	size_t len;

	if (!secret_file_read_whole(path, text, sizeof text, &len, err))
		return err_at(err, ADMINS_OPTION);
	if (!token_file_parse_admins(bytes_from(text, len), ret_tokens, err))
		return err_at(err, ADMINS_OPTION "%s: ", path);
	return ret_tokens->count > 0 ||
	       err_set(err, ADMINS_OPTION "%s: it has no token; accepted are lines NAME TOKEN",
		       path);
}

/* ---- while the agent runs ---- */

bool token_file_read_asker_again(const char *path, struct http_tokens *ret_tokens,
				 bool *ret_may_pass, struct err *err)
{
	char line[HTTP_TOKEN_MAX + 1];

	return secret_file_read_again(path, line, sizeof line, ret_may_pass, err) &&
	       set_asker(path, line, ret_tokens, err);
}

bool token_file_read_admins_again(const char *path, struct http_tokens *ret_tokens,
				  bool *ret_may_pass, struct err *err)
{
	char text[ADMINS_MAX];
	size_t len;

	return secret_file_read_whole_again(path, text, sizeof text, &len, ret_may_pass, err) &&
	       (token_file_parse_admins(bytes_from(text, len), ret_tokens, err) ||
		err_at(err, "%s: ", path));
}
