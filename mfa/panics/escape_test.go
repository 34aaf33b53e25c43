package panics_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// product are the folders whose code runs in the product's binary, as seen
// from here.
var product = []string{"../../mfa", "../../caddymodule", "../../internal/demo", "../../internal/loopback", "../../xcaddy"}

// exempt are the folders below them that may start goroutines by themselves.
var exempt = map[string]string{
	"../../mfa/panics":                      "it is the mechanism",
	"../../mfa/store/storetest":             "tests of stores, in no binary",
	"../../caddymodule/internal/configtest": "a test's kit, in no binary",
}

// spawners are functions that call what they are given in a goroutine of its
// own: sync.WaitGroup.Go, errgroup.Group.Go and TryGo, time.AfterFunc,
// context.AfterFunc.
var spawners = map[string]bool{"Go": true, "TryGo": true, "AfterFunc": true}

func TestNoGoroutineOfTheProductEscapesRecovery(t *testing.T) {
	checked := 0
	for _, root := range product {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if entry.IsDir() && exempt[filepath.ToSlash(path)] != "" {
				return filepath.SkipDir
			}
			if entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return nil
			}
			checked++
			for _, found := range escapes(t, path, nil) {
				t.Errorf("%s: start it with package panics", found)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if checked < 200 {
		t.Errorf("only %d files were read", checked)
	}
}

// escapes returns where the file starts a goroutine that nobody recovers.
// Source is its text, nil to read it.
func escapes(t *testing.T, path string, source any) (found []string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			found = append(found, files.Position(n.Pos()).String())
		case *ast.CallExpr:
			function, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !spawners[function.Sel.Name] || len(n.Args) == 0 {
				break
			}
			// panics.Go(place, f), group.Go(place, f), and any(…, panics.Func(place, f)).
			byPanics := ofPanics(function) || function.Sel.Name == "Go" && len(n.Args) == 2 && ofPanics(n.Args[0])
			if call, ok := n.Args[len(n.Args)-1].(*ast.CallExpr); !byPanics && (!ok || !ofPanics(call.Fun)) {
				found = append(found, files.Position(n.Pos()).String())
			}
		}
		return true
	})
	return found
}

// ofPanics reports whether e is a name of package panics.
func ofPanics(e ast.Expr) bool {
	selected, ok := e.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	in, ok := selected.X.(*ast.Ident)
	return ok && in.Name == "panics"
}

func TestTheSearchForGoroutinesFindsThem(t *testing.T) {
	for statement, escaping := range map[string]int{
		"go f()":                   1,
		"go func() { go f() }()":   2,
		"group.Go(f)":              1,
		"group.Go(func() { f() })": 1,
		"group.TryGo(func() error { return nil })":    1,
		"time.AfterFunc(d, f)":                        1,
		"context.AfterFunc(ctx, func() {})":           1,
		"group.Go(panics.TryFunc(panics.Demo, f))":    0,
		"time.AfterFunc(d, panics.Func(panics.A, f))": 0,
		"panics.Go(panics.Demo, f)":                   0,
		"panics.Go(place, f)":                         0,
		"group.Go(panics.Demo, f)":                    0,
		"other.Go(place, f)":                          1,
	} {
		source := "package p\nfunc _() { " + statement + " }"
		if got := escapes(t, "p.go", source); len(got) != escaping {
			t.Errorf("%s: found %q, want %d", statement, got, escaping)
		}
	}
}
