// The two programs of a scene. Both take a colour from a table of one row by a value.

const COLOUR = `
uniform sampler2D table;
uniform vec2 range;
uniform int scale;      // 0 plain colour, 1 linear, 2 logarithmic, 3 category
uniform vec4 missing;
uniform vec4 plain;
uniform float entries;

vec4 colourOf(float value) {
  if (scale == 0) return plain;
  if (value < -1e37) return missing;
  if (scale == 3) return texelFetch(table, ivec2(int(value), 0), 0);
  float t = scale == 2
    ? (log(max(value, 1e-30)) - log(range.x)) / (log(range.y) - log(range.x))
    : (value - range.x) / (range.y - range.x);
  return texelFetch(table, ivec2(int(clamp(t, 0.0, 1.0) * (entries - 1.0) + 0.5), 0), 0);
}
`;

export const POINT_VERTEX = `#version 300 es
precision highp float;
precision highp int;
layout(location = 0) in vec2 position;
layout(location = 1) in float value;
uniform vec2 centre;
uniform vec2 stretch;
uniform float size;
uniform float alpha;
uniform float fade;     // towards the background, for what is not selected
uniform vec3 ground;
out vec4 ink;
${COLOUR}
void main() {
  gl_Position = vec4((position - centre) * stretch, 0.0, 1.0);
  gl_PointSize = size;
  vec4 c = colourOf(value);
  vec3 rgb = mix(c.rgb, ground, fade);
  ink = vec4(rgb, c.a * alpha);
}
`;

export const POINT_FRAGMENT = `#version 300 es
precision highp float;
in vec4 ink;
uniform float size;
out vec4 colour;
void main() {
  float a = ink.a;
  if (size > 2.5) {
    float r = length(gl_PointCoord - 0.5) * size;
    a *= clamp(size * 0.5 - r + 0.25, 0.0, 1.0);
  }
  colour = vec4(ink.rgb * a, a);
}
`;

export const HEX_VERTEX = `#version 300 es
precision highp float;
precision highp int;
layout(location = 0) in vec2 corner;
layout(location = 1) in vec2 position;
layout(location = 2) in float value;
uniform vec2 centre;
uniform vec2 stretch;
uniform float radius;
out vec4 ink;
${COLOUR}
void main() {
  gl_Position = vec4((position + corner * radius - centre) * stretch, 0.0, 1.0);
  vec4 c = colourOf(value);
  ink = vec4(c.rgb, 1.0);
}
`;

export const HEX_FRAGMENT = `#version 300 es
precision highp float;
in vec4 ink;
out vec4 colour;
void main() { colour = ink; }
`;
