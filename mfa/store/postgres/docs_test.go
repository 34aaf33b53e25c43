package postgres

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// documentedSQL returns the statements that docs/stores.md has an owner make
// for a user who may make no tables.
func documentedSQL(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../../docs/stores.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(page)
	if block == nil {
		t.Fatal("docs/stores.md has no SQL")
	}
	var statements []string
	for statement := range strings.SplitSeq(string(block[1]), ";") {
		if strings.TrimSpace(statement) != "" {
			statements = append(statements, statement)
		}
	}
	return statements
}

func TestTheDocumentedTablesAreThoseThatAreMade(t *testing.T) {
	all := strings.Join(documentedSQL(t), ";")
	normal := func(s string) string {
		return strings.ReplaceAll(strings.Join(strings.Fields(s), " "), "IF NOT EXISTS ", "")
	}
	for _, sql := range []string{sqlVersions, sqlDocuments} {
		if !strings.Contains(normal(all), normal(sql)) {
			t.Errorf("docs/stores.md lacks\n%s", sql)
		}
	}
}
