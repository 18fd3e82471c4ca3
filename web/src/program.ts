// A compiled WebGL2 program and its uniforms by name.

export class Program {
  readonly handle: WebGLProgram;
  readonly #places = new Map<string, WebGLUniformLocation | null>();

  constructor(
    readonly gl: WebGL2RenderingContext,
    vertex: string,
    fragment: string,
  ) {
    this.handle = gl.createProgram()!;
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, vertex],
      [gl.FRAGMENT_SHADER, fragment],
    ] as const) {
      const shader = gl.createShader(kind)!;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      gl.attachShader(this.handle, shader);
    }
    gl.linkProgram(this.handle);
    if (!gl.getProgramParameter(this.handle, gl.LINK_STATUS) && !gl.isContextLost()) {
      throw new Error(`shader: ${gl.getProgramInfoLog(this.handle) ?? "did not link"}`);
    }
  }

  use(): this {
    this.gl.useProgram(this.handle);
    return this;
  }

  #place(name: string): WebGLUniformLocation | null {
    let place = this.#places.get(name);
    if (place === undefined) {
      place = this.gl.getUniformLocation(this.handle, name);
      this.#places.set(name, place);
    }
    return place;
  }

  int(name: string, value: number): void {
    this.gl.uniform1i(this.#place(name), value);
  }

  float(name: string, ...values: number[]): void {
    const place = this.#place(name);
    if (values.length === 1) this.gl.uniform1f(place, values[0]!);
    else if (values.length === 2) this.gl.uniform2f(place, values[0]!, values[1]!);
    else if (values.length === 3) this.gl.uniform3f(place, values[0]!, values[1]!, values[2]!);
    else this.gl.uniform4f(place, values[0]!, values[1]!, values[2]!, values[3]!);
  }
}
