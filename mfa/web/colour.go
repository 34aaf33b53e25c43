package web

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
)

// Colour is a colour in sRGB. The zero value stands for the product's own
// accent, not for black.
type Colour struct {
	red, green, blue uint8
	set              bool
}

func rgb(hex uint32) Colour {
	return Colour{uint8(hex >> 16), uint8(hex >> 8), uint8(hex), true}
}

var (
	ownAccent = rgb(0x0b57d0)
	white     = rgb(0xffffff)
	black     = rgb(0x000000)

	// What accents are seen on, as page.css has it.
	lightTint, darkTint = rgb(0xeef0f4), rgb(0x2a2d34)

	hexColour = regexp.MustCompile(`^#?([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$`)
)

// ParseColour reads a colour written as CSS does in hexadecimal, such as
// #0b57d0 or #05d; the # may be left out.
func ParseColour(s string) (Colour, error) {
	found := hexColour.FindStringSubmatch(s)
	if found == nil {
		return Colour{}, fmt.Errorf("%q is no colour: write it in hexadecimal, such as \"#0b57d0\"", s)
	}
	digits := found[1]
	if len(digits) == 3 {
		digits = string([]byte{digits[0], digits[0], digits[1], digits[1], digits[2], digits[2]})
	}
	n, err := strconv.ParseUint(digits, 16, 32)
	return rgb(uint32(n)), err
}

func (c Colour) String() string { return fmt.Sprintf("#%02x%02x%02x", c.red, c.green, c.blue) }

// luminance is the relative luminance (WCAG 2.2).
func (c Colour) luminance() float64 {
	linear := func(channel uint8) float64 {
		v := float64(channel) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(c.red) + 0.7152*linear(c.green) + 0.0722*linear(c.blue)
}

// contrast is the contrast ratio (WCAG 2.2) of c and other, 1 to 21.
func (c Colour) contrast(other Colour) float64 {
	a, b := c.luminance(), other.luminance()
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// towards is c mixed with a share of other.
func (c Colour) towards(other Colour, share float64) Colour {
	mix := func(from, to uint8) uint8 {
		return uint8(math.Round(float64(from) + (float64(to)-float64(from))*share))
	}
	return Colour{mix(c.red, other.red), mix(c.green, other.green), mix(c.blue, other.blue), true}
}

// readable is what text needs at least (WCAG 2.2, 1.4.3).
const readable = 4.5

// legibleOn is c, or as little of end mixed into it as makes it readable on
// background.
func (c Colour) legibleOn(background, end Colour) Colour {
	for share := 0.0; share < 1; share += 0.02 {
		if mixed := c.towards(end, share); mixed.contrast(background) >= readable {
			return mixed
		}
	}
	return end
}

// ink is what is read best on c. One of the two always reaches 4.58.
func (c Colour) ink() Colour {
	if c.contrast(white) >= readable {
		return white
	}
	return black
}

// theme is the part of the style sheet that depends on the accent. Buttons
// have the accent as it is, with the text that is readable on it. Where the
// accent itself is what is looked at, it is darkened, or lightened in dark
// mode, as far as it must be. So there is no accent that cannot be read.
func theme(accent Colour) string {
	if !accent.set {
		accent = ownAccent
	}
	block := func(link Colour) string {
		return fmt.Sprintf(":root{--accent:%s;--on-accent:%s;--link:%s}", accent, accent.ink(), link)
	}
	return block(accent.legibleOn(lightTint, black)) + "\n" +
		"@media (prefers-color-scheme:dark){" + block(accent.legibleOn(darkTint, white)) + "}\n"
}
