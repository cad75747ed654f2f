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
  /** Where it is in the window. */
  readonly bottom: number;
  /** Its distance from the top of everything. */
  readonly offset: number;
  /** Where what is in sight begins in the window. */
  readonly top: number;
}

/**
 * Rows that scroll. What is in sight stays where it is in the window, to the pixel, whatever is put in, taken away or grows
 * above it, in the rows or over them; at the end, the end stays in sight. All rows are in the page: that keeps it exact, so there must not be too many.
 */
export class Scroller extends Component<Props> {
  readonly #view = createRef<HTMLDivElement>();
  readonly #rows = createRef<HTMLDivElement>();
  #sizes: ResizeObserver | null = null;
  #atEnd: boolean | null = null;
  /** The first row in sight, as of the last scrolling or change. */
  #anchor: Anchor | null = null;
  /** Where it was scrolled to at that time. */
  #scrolled = 0;
  /** Where it was last scrolled to from here, and not by a person. */
  #moved = -1;

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

  override getSnapshotBeforeUpdate(): Anchor | null {
    const first = this.#place();
    return first && { ...first, bottom: first.bottom - this.#grown() };
  }

  override componentDidUpdate(before: Props, _: unknown, was: Anchor | null): void {
    const view = this.#view.current;
    if (!view) return;
    const { follow, keys } = this.props;
    const added = before.keys.at(-1) !== keys.at(-1);
    // An end that was not the newest one, and now is, has just been scrolled to.
    const followed = follow === 'atEnd' && before.follow !== 'no' && this.#stillAtEnd(view);
    if (followed || (added && follow === 'always')) this.#moveTo(view, view.scrollHeight);
    else if (was?.row.isConnected) this.#moveTo(view, view.scrollTop + was.row.getBoundingClientRect().bottom - was.bottom);
    this.#look(false);
  }

  /** Brings a row into sight. */
  show({ index, align }: Place): void {
    const view = this.#view.current;
    const row = this.#rows.current?.children.item(index);
    if (!view || !row) return;
    const room = view.clientHeight - row.getBoundingClientRect().height;
    const above = align === 'start' ? 0 : align === 'center' ? Math.max(0, room / 2) : room;
    const last = align === 'end' && index === this.props.keys.length - 1; // with the room below it
    this.#moveTo(view, last ? view.scrollHeight : view.scrollTop + row.getBoundingClientRect().top - view.getBoundingClientRect().top - above);
    this.#look(false);
  }

  /** A row, an image in it, or the view has another size. */
  #resized(): void {
    const view = this.#view.current;
    if (!view) return;
    if (this.props.follow !== 'no' && this.#stillAtEnd(view)) this.#moveTo(view, view.scrollHeight);
    else this.#hold(view);
    this.#look(false);
  }

  /** A person has scrolled, or the browser has after a change from here. What has grown meanwhile is made up for first. */
  #onScroll(): void {
    const view = this.#view.current;
    if (!view) return;
    const own = Math.abs(view.scrollTop - this.#moved) < 1;
    if (!own) this.#hold(view);
    this.#look(!own);
  }

  /** Makes up for what has become longer or shorter above the anchor, and for the view's own place in the window; not for scrolling. */
  #hold(view: HTMLElement): void {
    const by = this.#grown();
    // At the end of what has become shorter the browser has done it.
    if (Math.abs(by) >= 0.5 && !(by < 0 && atBottom(view))) this.#moveTo(view, view.scrollTop + by);
  }

  /** By how much the anchor would be lower in the window than it was, had nobody scrolled. */
  #grown(): number {
    const was = this.#anchor;
    const is = was?.row.isConnected ? this.#place(was.row) : null;
    return was && is ? is.offset - was.offset + is.top - was.top : 0;
  }

  /** Whether the end was in sight, and nobody has scrolled away from it since. */
  #stillAtEnd(view: HTMLElement): boolean {
    return this.#atEnd === true && (view.scrollTop >= this.#scrolled - 1 || atBottom(view));
  }

  #moveTo(view: HTMLElement, scrollTop: number): void {
    const before = view.scrollTop;
    view.scrollTop = scrollTop;
    if (view.scrollTop !== before) this.#moved = view.scrollTop;
  }

  /** Where a row is: the first one in sight, or another. */
  #place(of: HTMLElement | null = null): Anchor | null {
    const [view, rows] = [this.#view.current, this.#rows.current];
    if (!view || !rows) return null;
    const { top } = view.getBoundingClientRect();
    const row = of ?? rows.children.item(firstBelow(rows, top));
    if (!(row instanceof HTMLElement)) return null;
    const { bottom } = row.getBoundingClientRect();
    return { row, bottom, top, offset: bottom - top + view.scrollTop };
  }

  #look(scrolled: boolean): void {
    const [view, rows] = [this.#view.current, this.#rows.current];
    if (!view || !rows || this.props.keys.length === 0) return;
    this.#anchor = this.#place();
    this.#scrolled = view.scrollTop;
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
      <div ref={this.#view} className="messages-list" tabIndex={0} onScroll={() => this.#onScroll()}>
        <div ref={this.#rows} className="messages-rows">
          {this.props.keys.map((key, index) => (
            <div key={key}>{this.props.row(index)}</div>
          ))}
        </div>
      </div>
    );
  }
}

function atBottom(view: HTMLElement): boolean {
  return view.scrollHeight - view.scrollTop - view.clientHeight < 1;
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
