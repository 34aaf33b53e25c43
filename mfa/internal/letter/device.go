package letter

import "strings"

// maxUserAgent is how much of a User-Agent is read, in bytes.
const maxUserAgent = 512

// mark is a piece of a User-Agent and what it is a sign of.
type mark struct{ token, name string }

// browsers and systems are searched in order: most browsers also name
// those that they descend from, and the rarer names come first.
var (
	browsers = []mark{
		{"; wv)", "an app"}, // Android's WebView
		{"EdgA/", "Edge"},
		{"EdgiOS/", "Edge"},
		{"Edg/", "Edge"},
		{"OPR/", "Opera"},
		{"OPT/", "Opera"},
		{"SamsungBrowser/", "Samsung Internet"},
		{"Vivaldi/", "Vivaldi"},
		{"YaBrowser/", "Yandex Browser"},
		{"DuckDuckGo/", "DuckDuckGo"},
		{"Ddg/", "DuckDuckGo"},
		{"FxiOS/", "Firefox"},
		{"Firefox/", "Firefox"},
		{"CriOS/", "Chrome"},
		{"Chrome/", "Chrome"},
		{"Safari/", "Safari"},
	}
	systems = []mark{
		{"iPhone;", "iPhone"},
		{"iPad;", "iPad"},
		{"Android", "Android"},
		{"CrOS", "ChromeOS"},
		{"Windows NT", "Windows"},
		{"Macintosh;", "macOS"}, // and iPads, which ask for desktop pages
		{"Linux", "Linux"},
	}
)

// Device names the browser and the system that a User-Agent stands for,
// such as "Chrome on Windows". Whoever sends the header chooses its text,
// so that only names of our own are returned; "an unknown device" when
// there is nothing to recognise.
func Device(userAgent string) string {
	userAgent = userAgent[:min(len(userAgent), maxUserAgent)]
	browser, system := find(browsers, userAgent), find(systems, userAgent)
	switch {
	case browser == "" && system == "":
		return "an unknown device"
	case system == "":
		return browser
	case browser == "":
		return "an unknown program on " + system
	}
	return browser + " on " + system
}

// find returns the name of the first mark that text holds, "" for none.
func find(marks []mark, text string) string {
	for _, m := range marks {
		if strings.Contains(text, m.token) {
			return m.name
		}
	}
	return ""
}
