import { Button } from '@mantine/core';
import { type ReactNode, useState } from 'react';
import { useAnswer } from './answer';
import { useText } from './language';
import { useSearch } from './route';
import { Empty, Failure, Loading, MissingNodes } from './States';

export interface Column<Row> {
  readonly title: string;
  /** The server's name of this order, when it can sort by it. */
  readonly sort?: string;
  /** Numbers stand at the end of their cell. */
  readonly number?: boolean;
  readonly cell: (row: Row) => ReactNode;
}

interface TableProps<Row> {
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
  readonly sort?: string;
  readonly onSort?: (sort: string) => void;
  readonly busy?: boolean;
}

/** A table that becomes a list of cards on a phone, where styles take the roles of a table away that are written out here. */
export function Table<Row>({ caption, columns, rows, keyOf, sort, onSort, busy = false }: TableProps<Row>) {
  return (
    <div className="table-box" tabIndex={0} role="region" aria-label={caption}>
      <table className="table" role="table" aria-busy={busy}>
        <caption className="hidden">{caption}</caption>
        <thead role="rowgroup">
          <tr role="row">
            {columns.map((column) => (
              <Heading key={column.title} column={column} sort={sort} onSort={onSort} />
            ))}
          </tr>
        </thead>
        <tbody role="rowgroup">
          {rows.map((row) => (
            <tr key={keyOf(row)} role="row">
              {columns.map((column) => (
                <td key={column.title} role="cell" data-title={column.title} className={column.number ? 'number' : undefined}>
                  <div>{column.cell(row)}</div>
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface HeadingProps<Row> {
  readonly column: Column<Row>;
  readonly sort: string | undefined;
  readonly onSort: ((sort: string) => void) | undefined;
}

function Heading<Row>({ column, sort = '', onSort }: HeadingProps<Row>) {
  const order = column.sort;
  if (!order || !onSort) {
    return (
      <th scope="col" role="columnheader" className={column.number ? 'number' : undefined}>
        {column.title}
      </th>
    );
  }
  const down = sort === `-${order}`;
  const up = sort === order;
  return (
    <th scope="col" role="columnheader" className={column.number ? 'number' : undefined} aria-sort={down ? 'descending' : up ? 'ascending' : 'none'}>
      <button type="button" className="sort" onClick={() => onSort(down ? order : `-${order}`)}>
        {column.title}
        <span aria-hidden="true" className={down || up ? 'sort-mark' : 'sort-mark dim'}>
          {up ? '↑' : down ? '↓' : '↕'}
        </span>
      </button>
    </th>
  );
}

/** What a list call answers, with its rows under one name. */
export interface Page<Row> {
  readonly rows: readonly Row[];
  readonly next_cursor: string;
  readonly has_more: boolean;
  /** The nodes that did not answer, of a list that all were asked for. */
  readonly missing_nodes?: readonly string[];
}

interface ListingProps<Row> extends Pick<TableProps<Row>, 'caption' | 'columns' | 'keyOf'> {
  /** Names what is listed: another one starts at the first page. Filters belong into it. */
  readonly name: string;
  readonly load: (query: { readonly cursor: string; readonly sort: string }, signal: AbortSignal) => Promise<Page<Row>>;
  /** The order when the address names none. */
  readonly sort?: string;
  /** Asks again every so many ms while the page is visible. */
  readonly every?: number;
  readonly empty?: string;
  /** Changes when something was done to a row: asks again. */
  readonly version?: number;
}

/** A list of the server's, page by page, in the order that the address names. */
export function Listing<Row>(props: ListingProps<Row>) {
  const [search, change] = useSearch();
  const sort = search.get('sort') ?? props.sort ?? '';
  return <Pages key={`${props.name}\n${sort}`} {...props} sort={sort} onSort={(chosen) => change({ sort: chosen })} />;
}

function Pages<Row>({ name, load, sort = '', every, empty, version = 0, onSort, ...table }: ListingProps<Row> & { readonly onSort: (sort: string) => void }) {
  const text = useText();
  const [cursors, setCursors] = useState<readonly string[]>(['']);
  const cursor = cursors.at(-1) ?? '';
  const answer = useAnswer(`${name}\n${sort}\n${cursor}\n${version}`, (signal) => load({ cursor, sort }, signal), every);
  const page = answer.data;
  const next = page?.has_more ? page.next_cursor : null;
  return (
    <>
      {answer.error !== undefined ? <Failure error={answer.error} retry={answer.reload} /> : null}
      {page === undefined ? (
        answer.error === undefined ? (
          <Loading />
        ) : null
      ) : (
        <>
          <MissingNodes nodes={page.missing_nodes} />
          {page.rows.length > 0 ? <Table {...table} rows={page.rows} sort={sort} onSort={onSort} busy={answer.loading && !every} /> : <Empty>{empty ?? text.nothingFound}</Empty>}
          {next || cursors.length > 1 ? (
            <nav className="pager" aria-label={text.pages}>
              <Button variant="default" size="xs" disabled={cursors.length < 2} onClick={() => setCursors(cursors.slice(0, -1))}>
                {text.previous}
              </Button>
              <span>{text.pageNumber(cursors.length)}</span>
              <Button variant="default" size="xs" disabled={!next} onClick={() => next && setCursors([...cursors, next])}>
                {text.next}
              </Button>
            </nav>
          ) : null}
        </>
      )}
    </>
  );
}
