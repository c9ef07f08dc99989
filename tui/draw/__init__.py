"""How things are drawn: text, ink, charts, glyphs and colours; knows no figures."""
