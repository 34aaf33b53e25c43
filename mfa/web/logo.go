package web

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"slices"
)

// maxLogo is the largest logo, in bytes.
const maxLogo = 256 << 10

// Logo is a picture of the operator's.
type Logo struct {
	content     []byte
	contentType string
}

// NewLogo makes a logo of a picture file's content, of which the kind is
// told by the content alone.
func NewLogo(content []byte) (*Logo, error) {
	if len(content) > maxLogo {
		return nil, fmt.Errorf("the file has %d bytes, and a logo at most %d: make it smaller", len(content), maxLogo)
	}
	detected := http.DetectContentType(content)
	if slices.Contains([]string{"image/png", "image/jpeg", "image/webp", "image/gif"}, detected) {
		return &Logo{content, detected}, nil
	}
	if isSVG(content) {
		return &Logo{content, "image/svg+xml"}, nil
	}
	return nil, errors.New("the file is no picture that browsers show: use SVG, PNG, JPEG, WebP or GIF")
}

// isSVG reports whether content is an XML document of which the root is an
// svg element.
func isSVG(content []byte) bool {
	decoder := xml.NewDecoder(bytes.NewReader(content))
	for {
		token, err := decoder.Token()
		if err != nil {
			return false
		}
		if root, ok := token.(xml.StartElement); ok {
			return root.Name.Local == "svg"
		}
	}
}
