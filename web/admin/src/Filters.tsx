import { NativeSelect, TextInput } from '@mantine/core';
import { useEffect, useState } from 'react';
import { useSearch } from './route';

const pause = 300; // ms after the last key

interface FilterProps {
  /** The name in the address. */
  readonly name: string;
  readonly label: string;
}

/** A text that filters a list, kept in the address. */
export function TextFilter({ name, label, placeholder }: FilterProps & { readonly placeholder?: string }) {
  const [search, change] = useSearch();
  const kept = search.get(name) ?? '';
  const [typed, setTyped] = useState(kept);
  useEffect(() => setTyped(kept), [kept]);
  useEffect(() => {
    if (typed.trim() === kept) return;
    const timer = window.setTimeout(() => change({ [name]: typed.trim() }), pause);
    return () => window.clearTimeout(timer);
  }, [typed, kept, name, change]);
  return <TextInput className="filter" size="sm" label={label} placeholder={placeholder} value={typed} maxLength={200} spellCheck={false} onChange={(event) => setTyped(event.currentTarget.value)} />;
}

/** A choice that filters a list, kept in the address; the first is everything. */
export function ChoiceFilter({ name, label, choices }: FilterProps & { readonly choices: readonly { readonly value: string; readonly label: string }[] }) {
  const [search, change] = useSearch();
  return <NativeSelect className="filter" size="sm" label={label} data={choices.map((choice) => ({ ...choice }))} value={search.get(name) ?? ''} onChange={(event) => change({ [name]: event.currentTarget.value })} />;
}

/** A moment that filters a list, kept in the address as Unix milliseconds. */
export function TimeFilter({ name, label }: FilterProps) {
  const [search, change] = useSearch();
  const at = Number(search.get(name) ?? 0);
  return (
    <TextInput
      className="filter"
      size="sm"
      type="datetime-local"
      label={label}
      value={at > 0 ? localText(at) : ''}
      onChange={(event) => {
        const chosen = new Date(event.currentTarget.value).getTime();
        change({ [name]: Number.isFinite(chosen) ? String(chosen) : '' });
      }}
    />
  );
}

/** As an input of the type datetime-local has it: local, without a zone. */
function localText(at: number): string {
  const date = new Date(at);
  const two = (n: number) => String(n).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}
