import { Component, createRef, type ReactNode } from 'react';

export type Align = 'start' | 'center' | 'end';

/** A row, and where it is in sight. */
export interface Place {
  readonly index: number;
  readonly align: Align;
}

interface Props {
  /** Keys of the rows, in their order. */
  readonly keys: readonly string[];
  readonly row: (index: number) => ReactNode;
  /** What is in sight when it is made. */
  readonly start: Place;
  /** Whether rows that come after the last one are brought into sight: if that one is there (`atEnd`), or in any case. */
  readonly follow: 'no' | 'atEnd' | 'always';
  /** What is in sight now, after each change; `scrolled` says that scrolling was one. Not called when there are no rows. */
  readonly onSight: (first: number, last: number, scrolled: boolean) => void;
  readonly onAtEnd: (atEnd: boolean) => void;
}

/** So close to the end counts as at the end, in CSS pixels. */
const closeToEnd = 60;

/** A row by its lower edge: what comes and goes in the row itself, such as the day above the message, is above that. */
interface Anchor {
  readonly row: HTMLElement;
  /** Its distance from the top of what is in sight. */
  readonly below: number;
  /** Its distance from the top of everything. */
  readonly offset: number;
}

/**
 * Rows that scroll. What is in sight stays where it is, to the pixel, whatever is put in, taken away or grows above it;
 * at the end, the end stays in sight. All rows are in the page: that keeps it exact, so there must not be too many.
 */
export class Scroller extends Component<Props> {
  readonly #view = createRef<HTMLDivElement>();
  readonly #rows = createRef<HTMLDivElement>();
  #sizes: ResizeObserver | null = null;
  #atEnd: boolean | null = null;
  /** The first row in sight, as of the last scrolling or change. */
  #anchor: Anchor | null = null;

  override componentDidMount(): void {
    const [view, rows] = [this.#view.current, this.#rows.current];
    if (!view || !rows) return;
    this.show(this.props.start);
    this.#sizes = new ResizeObserver(() => this.#resized());
    this.#sizes.observe(view);
    this.#sizes.observe(rows);
  }

  override componentWillUnmount(): void {
    this.#sizes?.disconnect();
  }

  override getSnapshotBeforeUpdate(before: Props): Anchor | null {
    return before.keys === this.props.keys ? null : this.#first();
  }

  override componentDidUpdate(before: Props, _: unknown, was: Anchor | null): void {
    const view = this.#view.current;
    if (!view) return;
    if (before.keys !== this.props.keys) {
      const { follow, keys } = this.props;
      const stays = was?.row.isConnected ? was.row : null;
      const added = before.keys.at(-1) !== keys.at(-1);
      // An end that was not the newest one, and now is, has just been scrolled to.
      const followed = this.#atEnd && follow === 'atEnd' && before.follow !== 'no';
      if (followed || (added && follow === 'always')) view.scrollTop = view.scrollHeight;
      else if (stays) view.scrollTop += below(stays, view) - (was?.below ?? 0);
    }
    this.#look(false);
  }

  /** Brings a row into sight. */
  show({ index, align }: Place): void {
    const view = this.#view.current;
    const row = this.#rows.current?.children.item(index);
    if (!view || !row) return;
    const room = view.clientHeight - row.getBoundingClientRect().height;
    const above = align === 'start' ? 0 : align === 'center' ? Math.max(0, room / 2) : room;
    view.scrollTop += row.getBoundingClientRect().top - view.getBoundingClientRect().top - above;
    if (align === 'end' && index === this.props.keys.length - 1) view.scrollTop = view.scrollHeight; // with the room below it
    this.#look(false);
  }

  /** A row, an image in it, or the view has another size. */
  #resized(): void {
    const view = this.#view.current;
    if (!view) return;
    if (this.#atEnd && this.props.follow !== 'no') view.scrollTop = view.scrollHeight;
    else if (this.#anchor?.row.isConnected) view.scrollTop += below(this.#anchor.row, view) + view.scrollTop - this.#anchor.offset;
    this.#look(false);
  }

  /** The first row in sight. */
  #first(): Anchor | null {
    const [view, rows] = [this.#view.current, this.#rows.current];
    const row = view && rows ? rows.children.item(firstBelow(rows, view.getBoundingClientRect().top)) : null;
    return view && row instanceof HTMLElement ? { row, below: below(row, view), offset: below(row, view) + view.scrollTop } : null;
  }

  #look(scrolled: boolean): void {
    const [view, rows] = [this.#view.current, this.#rows.current];
    if (!view || !rows || this.props.keys.length === 0) return;
    this.#anchor = this.#first();
    const { top, bottom } = view.getBoundingClientRect();
    const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight <= closeToEnd;
    if (atEnd !== this.#atEnd) {
      this.#atEnd = atEnd;
      this.props.onAtEnd(atEnd);
    }
    const first = firstBelow(rows, top);
    this.props.onSight(first, Math.max(first, firstBelow(rows, bottom - 1)), scrolled);
  }

  override render(): ReactNode {
    return (
      <div ref={this.#view} className="messages-list" tabIndex={0} onScroll={() => this.#look(true)}>
        <div ref={this.#rows} className="messages-rows">
          {this.props.keys.map((key, index) => (
            <div key={key}>{this.props.row(index)}</div>
          ))}
        </div>
      </div>
    );
  }
}

/** How far the lower edge of a row is below the top of what is in sight. */
function below(row: Element, view: Element): number {
  return row.getBoundingClientRect().bottom - view.getBoundingClientRect().top;
}

/** The index of the first row that ends below a height of the window; the last one if none does. */
function firstBelow(rows: Element, height: number): number {
  let [low, high] = [0, rows.children.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rows.children.item(middle)?.getBoundingClientRect().bottom ?? 0) > height) high = middle;
    else low = middle + 1;
  }
  return low;
}
