package option

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/caddymfa/caddy-mfa/mfa/legible"
)

// Check refuses what no Caddyfile can say, but a JSON configuration can:
// lists that are empty or hold an empty text, null or a text with blanks around
// it, and texts of nothing but blanks. Most of these would
// silently mean that an option is not given, or stand for a value that
// nothing is equal to. Options is a pointer to a struct whose fields have JSON
// names; errors name the option. Fields whose JSON is read elsewhere are left
// aside. A list with the tag `option:"empty"` may hold an empty text, which
// says something there.
func Check(options any) error {
	return check("", reflect.ValueOf(options))
}

func check(name string, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return nil
		}
		return check(name, v.Elem())
	case reflect.Struct:
		return checkFields(name, v)
	case reflect.Slice:
		return checkList(name, v)
	case reflect.Map: // claims, of which the Caddyfile names one a line
		for _, key := range v.MapKeys() {
			if err := checkElement(strings.TrimSuffix(name, "s")+" "+legible.Text(key.String()), v.MapIndex(key).String()); err != nil {
				return err
			}
		}
	case reflect.String:
		if s := v.String(); s != "" && strings.TrimSpace(s) == "" {
			return fmt.Errorf("%s: holds nothing but blanks: give a value, or leave the option out", name)
		}
	}
	return nil
}

func checkFields(name string, v reflect.Value) error {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		option, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || option == "" || option == "-" {
			continue
		}
		if name != "" {
			option = name + ": " + option
		}
		value := v.Field(i)
		if list, ok := value.Interface().([]string); ok && len(list) > 0 && field.Tag.Get("option") == "empty" {
			var named []string
			for _, text := range list {
				if text != "" {
					named = append(named, text)
				}
			}
			value = reflect.ValueOf(named)
		}
		if err := check(option, value); err != nil {
			return err
		}
	}
	return nil
}

func checkList(name string, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return nil // JSON that is read elsewhere
	}
	if !v.IsNil() && v.Len() == 0 {
		return fmt.Errorf("%s: is an empty list: give a value, or leave the option out", name)
	}
	for i := range v.Len() {
		numbered := fmt.Sprintf("%s %d", name, i+1)
		element := v.Index(i)
		if element.Kind() == reflect.Pointer && element.IsNil() {
			return fmt.Errorf("%s: is null: take it out", numbered)
		}
		if element.Kind() != reflect.String {
			if err := check(numbered, element); err != nil {
				return err
			}
			continue
		}
		if err := checkElement(numbered, element.String()); err != nil {
			return err
		}
	}
	return nil
}

func checkElement(name, text string) error {
	switch {
	case text == "":
		return fmt.Errorf("%s: is empty, or null: give a value, or take it out", name)
	case strings.TrimSpace(text) != text:
		return fmt.Errorf("%s: %q begins or ends with a blank: take it out", name, text)
	case strings.ContainsFunc(text, legible.Hidden):
		return fmt.Errorf("%s: %s holds a character that cannot be seen: take it out", name, legible.Text(text))
	}
	return nil
}
