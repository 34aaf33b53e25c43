package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"strings"
)

// Asset is a file that pages load.
type Asset struct {
	Content     []byte
	ContentType string
	// ETag is a strong validator (RFC 9110, 8.8.3). Names say nothing of
	// versions, so browsers have to ask whether theirs is the current one.
	ETag string
	// Policy is the Content-Security-Policy to serve it with, "" for none.
	Policy string
}

const (
	styleName = "page.css"
	logoName  = "logo"
)

//go:embed assets/*.js assets/*.css
var files embed.FS

// assets makes the files of a configuration.
func assets(c Config) map[string]Asset {
	all := make(map[string]Asset)
	for _, name := range AssetNames() {
		switch name {
		case logoName:
			if c.Logo != nil {
				// Who opens it by itself gets a picture, and no more than that.
				all[name] = newAsset(c.Logo.content, c.Logo.contentType, "default-src 'none'; style-src 'unsafe-inline'; sandbox")
			}
		case styleName:
			all[name] = newAsset(append([]byte(theme(c.Accent)), source(name)...), "text/css; charset=utf-8", "")
		default:
			all[name] = newAsset(source(name), "text/javascript; charset=utf-8", "")
		}
	}
	return all
}

func newAsset(content []byte, contentType, policy string) Asset {
	sum := sha256.Sum256(content)
	return Asset{
		Content: content, ContentType: contentType, Policy: policy,
		ETag: `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`,
	}
}

// closeUp and closeUpScript take out the spaces that make a style sheet, or a
// script, readable and mean nothing. No text in a script holds what
// closeUpScript looks for; a test sees to that.
var (
	closeUp       = strings.NewReplacer(": ", ":", ", ", ",", " {", "{")
	closeUpScript = strings.NewReplacer(scriptSpaces...)
	scriptSpaces  = []string{
		" => ", "=>", " === ", "===", " !== ", "!==", " = ", "=", " && ", "&&", " || ", "||", ") {", "){", "if (", "if(", "{ ", "{", " }", "}",
	}
)

// source returns an embedded file without its comments, its indentation and
// the ends of lines that mean nothing, which are for who reads it here.
func source(name string) []byte {
	content, err := files.ReadFile("assets/" + name)
	if err != nil {
		panic(err) // the names are those of embedded files
	}
	var out bytes.Buffer
	ends := "{(,;" // after these no line needs to end
	if name == styleName {
		ends += "}"
	}
	comment := false // within a block of /* */, which stands on lines of its own
	for line := range strings.Lines(string(content)) {
		line = strings.TrimSpace(line)
		comment = comment || strings.HasPrefix(line, "/*")
		if line != "" && !comment && !strings.HasPrefix(line, "//") {
			out.WriteString(line)
			if !strings.ContainsAny(line[len(line)-1:], ends) || strings.Contains(line, "//") { // a comment
				out.WriteByte('\n')
			}
		}
		comment = comment && !strings.HasSuffix(line, "*/")
	}
	if name == styleName {
		return []byte(closeUp.Replace(out.String()))
	}
	return []byte(closeUpScript.Replace(out.String()))
}
