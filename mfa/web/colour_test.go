package web

import (
	"strings"
	"testing"
)

func TestColoursAreReadAsCSSWritesThem(t *testing.T) {
	for written, want := range map[string]string{"#0b57d0": "#0b57d0", "0B57D0": "#0b57d0", "#05d": "#0055dd", "fff": "#ffffff"} {
		if got, err := ParseColour(written); err != nil || got.String() != want {
			t.Errorf("%q is %v (%v), want %s", written, got, err, want)
		}
	}
	for _, written := range []string{"", "#", "blue", "#12345", "rgb(1,2,3)", "#0b57d0;}", "##fff"} {
		if got, err := ParseColour(written); err == nil {
			t.Errorf("%q is %v", written, got)
		}
	}
}

func TestContrastIsThatOfWCAG(t *testing.T) {
	if got := white.contrast(black); got < 20.99 || got > 21.01 {
		t.Errorf("white on black is %v", got)
	}
	if got := rgb(0x767676).contrast(white); got < 4.53 || got > 4.56 { // the well-known lightest grey
		t.Errorf("#767676 on white is %v", got)
	}
}

func TestEveryAccentCanBeRead(t *testing.T) {
	for red := 0; red < 256; red += 15 {
		for green := 0; green < 256; green += 15 {
			for blue := 0; blue < 256; blue += 15 {
				c := Colour{uint8(red), uint8(green), uint8(blue), true}
				if ratio := c.contrast(c.ink()); ratio < readable {
					t.Fatalf("the text on %s has a contrast of %.2f", c, ratio)
				}
				for background, link := range map[Colour]Colour{
					lightTint: c.legibleOn(lightTint, black), white: c.legibleOn(lightTint, black),
					darkTint: c.legibleOn(darkTint, white), rgb(0x1e2025): c.legibleOn(darkTint, white),
				} {
					if ratio := link.contrast(background); ratio < readable {
						t.Fatalf("%s becomes %s, which has a contrast of %.2f on %s", c, link, ratio, background)
					}
				}
			}
		}
	}
}

func TestABlackAccentIsNotTakenForNone(t *testing.T) {
	c, err := ParseColour("#000")
	if err != nil || !strings.HasPrefix(theme(c), ":root{--accent:#000000;--on-accent:#ffffff;") {
		t.Errorf("%v: %s", err, theme(c))
	}
	if !strings.Contains(theme(Colour{}), "#0b57d0") {
		t.Errorf("without an accent: %s", theme(Colour{}))
	}
}
