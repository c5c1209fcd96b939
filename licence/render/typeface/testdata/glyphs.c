/* glyphs FONT PPEM CELL X Y: draws characters with FreeType from a font file as it is.
 * It reads code points, 32 bits each, of this machine's order, and answers each with a
 * byte and CELL * CELL bytes of coverage, the origin at X, Y from the upper left corner.
 * Without arguments it prints FreeType's version. The byte is 0 when the font has no outline for the character, 2 when it reaches out
 * of the cell, and else 1. The code point 0 is glyph 0, .notdef. */
#include <ft2build.h>
#include FT_FREETYPE_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int failed, const char *what)
{
	if (failed) {
		fprintf(stderr, "glyphs: %s\n", what);
		exit(1);
	}
}

/* put copies the bitmap into the cell; it returns 2 when it does not fit, and else 1. */
static int put(FT_GlyphSlot slot, uint8_t *cells, int cell, int x, int y)
{
	FT_Bitmap *map = &slot->bitmap;
	x += slot->bitmap_left;
	y -= slot->bitmap_top;
	if (x < 0 || y < 0 || x + (int)map->width > cell || y + (int)map->rows > cell)
		return 2;
	for (unsigned i = 0; i < map->rows; i++)
		memcpy(cells + (y + i) * cell + x, map->buffer + (int)i * map->pitch, map->width);
	return 1;
}

int main(int argc, char **argv)
{
	FT_Library library;
	FT_Face face;
	uint32_t r;

	must(FT_Init_FreeType(&library), "no FreeType");
	if (argc != 6) {
		FT_Int major, minor, patch;
		FT_Library_Version(library, &major, &minor, &patch);
		return printf("%d.%d.%d\n", major, minor, patch) < 0;
	}
	int cell = atoi(argv[3]), x = atoi(argv[4]), y = atoi(argv[5]);
	must(FT_New_Face(library, argv[1], 0, &face), "font not opened");
	must(FT_Select_Charmap(face, FT_ENCODING_UNICODE), "no Unicode character map");
	must(FT_Set_Pixel_Sizes(face, 0, atoi(argv[2])), "size not set");
	uint8_t *answer = malloc(1 + cell * cell);
	while (fread(&r, sizeof r, 1, stdin) == 1) {
		FT_UInt glyph = FT_Get_Char_Index(face, r);
		memset(answer, 0, 1 + cell * cell);
		if (glyph != 0 || r == 0) {
			must(FT_Load_Glyph(face, glyph, FT_LOAD_NO_HINTING | FT_LOAD_NO_BITMAP), "glyph not loaded");
			if (face->glyph->outline.n_points > 0) {
				must(FT_Render_Glyph(face->glyph, FT_RENDER_MODE_NORMAL), "glyph not drawn");
				answer[0] = put(face->glyph, answer + 1, cell, x, y);
			}
		}
		must(fwrite(answer, 1 + cell * cell, 1, stdout) != 1, "answer not written");
	}
	return 0;
}
