"""The GLSL of the world: one material shader with modes, a geometry shader, a shadow shader, a resolve shader."""

from __future__ import annotations

VERTEX = """#version 330
in vec3 p; in vec3 n; in vec2 uv; in vec4 paint; in vec4 other; in float id;
uniform mat4 m;
out vec3 vp; out vec3 vn; out vec2 vuv; out vec4 vpaint; out vec4 vother; flat out float vid;
void main() {
  gl_Position = m * vec4(p, 1.0);
  vp = p; vn = n; vuv = uv; vpaint = paint; vother = other; vid = id;
}
"""

COVER = """
uniform int mode; uniform sampler2D image; uniform float cover; uniform int has_image; uniform float grain;
float hash(vec2 x) { return fract(sin(dot(x, vec2(127.1, 311.7))) * 43758.5453); }
float noise(vec2 x) {
  vec2 i = floor(x), f = fract(x); f = f * f * (3.0 - 2.0 * f);
  return mix(mix(hash(i), hash(i + vec2(1, 0)), f.x), mix(hash(i + vec2(0, 1)), hash(i + vec2(1, 1)), f.x), f.y);
}
float coverage(vec4 texel) {
  if (mode == 7) return has_image == 1 ? clamp(texel.a * cover, 0.0, 1.0) : 1.0;
  if (mode == 1) {
    float a = has_image == 1 ? clamp(texel.a * cover, 0.0, 1.0) : 1.0;
    return a * (1.0 - smoothstep(0.4, 0.6, vpaint.y
      + 0.35 * (noise(vuv * vec2(420.0, 60.0)) - 0.5) + 0.35 * (noise(vuv * vec2(60.0, 420.0)) - 0.5)));
  }
  if (mode == 5) {
    float strand = 0.5 * noise(vuv * 170.0 * vpaint.w) + 0.5 * noise(vuv * 340.0 * vpaint.w + 7.0);
    strand = mix(0.5, strand, grain);  // geometry is the smooth surface of the hair, not its strands
    float thin = smoothstep(0.1, 0.8, vpaint.z) * cover * (1.35 - 0.95 * vpaint.y) - strand * 0.85;
    return smoothstep(0.0, 0.22, thin);
  }
  if (mode == 6) return cover;
  return 1.0;
}
"""

MATERIAL = (
    """#version 330
in vec3 vp; in vec3 vn; in vec2 vuv; in vec4 vpaint; in vec4 vother; flat in float vid;
uniform vec3 eye; uniform vec3 toward[3]; uniform vec3 power[3]; uniform vec3 sky; uniform vec3 ground;
uniform vec3 tone; uniform vec3 hair; uniform vec4 amounts; uniform vec2 shine; uniform vec2 band;
uniform sampler2D shadow; uniform mat4 shadow_m; uniform float shadow_on; uniform int fade;
layout(location = 0) out vec4 colour;
"""
    + COVER
    + """
float lit(vec3 at, float slope) {
  vec4 q = shadow_m * vec4(at, 1.0); vec3 s = q.xyz * 0.5 + 0.5;
  if (any(lessThan(s.xy, vec2(0.0))) || any(greaterThan(s.xy, vec2(1.0)))) return 1.0;
  float total = 0.0; float texel = 1.0 / float(textureSize(shadow, 0).x);
  float turn = 6.2832 * hash(gl_FragCoord.xy);
  for (int k = 0; k < 12; k++) {
    float a = turn + 2.39996 * float(k); float r = 5.5 * sqrt((float(k) + 0.5) / 12.0) * texel;
    total += texture(shadow, s.xy + r * vec2(cos(a), sin(a))).r + 0.006 + 0.010 * slope >= s.z ? 1.0 : 0.0;
  }
  return mix(1.0, total / 12.0, shadow_on);
}
vec3 shoulder(vec3 c) { vec3 e = max(c - 0.62, 0.0); return min(c, 0.62) + 0.38 * (1.0 - exp(-e / 0.38)); }
void main() {
  vec4 texel = has_image == 1 ? texture(image, vuv) : vec4(1.0);
  float alpha = coverage(texel);
  if (alpha < band.x || alpha >= band.y) discard;
  vec3 N = normalize(vn), V = normalize(eye - vp);
  if (mode != 0 && mode != 2 && dot(N, V) < 0.0) N = -N;
  vec3 base = tone, wrap = vec3(0.15); float open = vpaint.x; vec2 gloss = shine; float stray = 0.0;
  if (mode == 0) {
    vec3 detail = 2.0 * pow(texel.rgb, vec3(2.2));
    detail = pow(max(detail, 0.02), vec3(amounts.w));
    float scalp = smoothstep(0.2, 0.8, vpaint.y + 0.25 * (noise(vuv * 180.0) - 0.5));
    detail = mix(detail, vec3(1.0, 0.96, 0.93) * 0.95,
      max(smoothstep(0.0, 0.4, vpaint.y), smoothstep(0.0, 0.8, -vpaint.w)));
    base = tone * detail;
    base = mix(base, base * vec3(1.08, 0.72, 0.72), max(vpaint.w, 0.0) * 0.4 * amounts.z);
    base = mix(base, hair, scalp * amounts.x * 0.9 * (0.55 + 0.45 * noise(vuv * 500.0)));
    base = mix(base, mix(hair, vec3(0.10, 0.10, 0.11), 0.35),
      vpaint.z * amounts.y * (0.35 + 0.5 * noise(vuv * 420.0)));
    wrap = vec3(0.42, 0.22, 0.16);
    gloss.x *= 1.0 - 0.8 * scalp * amounts.x;
  } else if (mode == 1 || mode == 5 || mode == 7) {
    float grey = has_image == 1 ? pow(texel.r, 2.2) / 0.4
      : 0.6 + 0.5 * noise(vuv * vec2(220.0, 9.0)) + 0.3 * noise(vuv * vec2(500.0, 16.0));
    base = tone * grey; wrap = vec3(0.35); stray = 1.0;
    if (mode == 5) { open = mix(0.55, 1.0, vpaint.y) * vpaint.x; base *= 0.55 + 0.9 * noise(vuv * 190.0 * vpaint.w); }
  } else if (mode == 2) {
    float r = length(vuv); float a = atan(vuv.y, vuv.x);
    float rays = noise(vec2(a * 14.0 + 3.0, r * 2.0)) * 0.6 + noise(vec2(a * 37.0, r * 5.0)) * 0.4;
    vec3 iris = tone * (0.55 + 0.9 * rays) * mix(1.5, 0.8, smoothstep(0.3, 0.9, r));
    iris *= 1.0 - 0.75 * smoothstep(0.8, 1.02, r);
    iris = mix(vec3(0.004), iris, smoothstep(amounts.x - 0.06, amounts.x + 0.06, r));
    vec3 white = vec3(0.44, 0.39, 0.37) * mix(vec3(1.0), vec3(1.05, 0.82, 0.78), smoothstep(1.6, 3.0, r));
    base = mix(iris, white, smoothstep(0.95, 1.08, r));
    open = 0.88 - 0.55 * smoothstep(0.05, 0.42, vpaint.y); wrap = vec3(0.3);
  } else if (mode == 4) {
    base = pow(texel.rgb, vec3(2.2)) * vec3(1.0, 0.90, 0.76); wrap = vec3(0.6);
  }
  vec3 shade = mix(ground, sky, 0.5 + 0.5 * N.y) * (mode == 0 ? pow(vec3(open), vec3(0.75, 1.0, 1.1)) : vec3(open));
  vec3 glow = vec3(0.0);
  for (int k = 0; k < 3; k++) {
    float c = dot(N, toward[k]);
    float see = k == 0 ? (mode == 4 ? 0.75 : lit(vp, 1.0 - max(c, 0.0))) : mix(1.0, open, 0.7);
    vec3 d = max((vec3(c) + wrap) / (1.0 + wrap), 0.0);
    if (stray > 0.5) d = mix(d, vec3(0.5), 0.35);
    shade += power[k] * d
      * (k == 0 ? mix(vec3(see), vec3(1.0), vec3(0.10, 0.03, 0.02)) : vec3(see)) * mix(0.6, 1.0, open);
    vec3 H = normalize(toward[k] + V); float f = 0.04 + 0.96 * pow(1.0 - max(dot(H, V), 0.0), 5.0);
    float lobe = pow(max(dot(N, H), 0.0), gloss.y) * (gloss.y + 8.0) / 25.0;
    glow += power[k] * gloss.x * lobe * see * (c > 0.0 ? 1.0 : 0.0) * (0.6 + 6.0 * f) * open;
  }
  float edge = pow(1.0 - max(dot(N, V), 0.0), 4.0);
  if (mode == 0) glow += sky * 0.05 * edge * open;
  if (mode == 2) glow *= 1.0 - 0.65 * smoothstep(0.1, 0.45, vpaint.y);
  vec3 c = shoulder(base * shade + glow);
  float a = mode == 6 ? clamp(alpha + 0.5 * dot(glow, vec3(0.33)), 0.0, 1.0) : fade == 1 ? alpha : 1.0;
  colour = vec4(pow(clamp(c, 0.0, 1.0), vec3(1.0 / 2.2)) * a, a);
}
"""
)

GEOMETRY = (
    """#version 330
in vec3 vp; in vec3 vn; in vec2 vuv; in vec4 vpaint; in vec4 vother; flat in float vid;
uniform vec3 eye; uniform vec3 axis; uniform float part;
layout(location = 0) out vec4 a; layout(location = 1) out vec4 b; layout(location = 2) out vec4 c;
"""
    + COVER
    + """
void main() {
  vec4 texel = has_image == 1 ? texture(image, vuv) : vec4(1.0);
  if (coverage(texel) < 0.5) discard;
  vec3 N = normalize(vn); if (mode != 0 && mode != 2 && dot(N, eye - vp) < 0.0) N = -N;
  a = vec4(dot(vp - eye, axis), part, vid, 1.0);
  b = vec4(N, 1.0); c = vec4(vother.xyz * vother.w, vother.w);
}
"""
)

SHADOW = (
    """#version 330
in vec3 vp; in vec3 vn; in vec2 vuv; in vec4 vpaint; in vec4 vother; flat in float vid;
layout(location = 0) out float depth;
"""
    + COVER
    + """
void main() {
  vec4 texel = has_image == 1 ? texture(image, vuv) : vec4(1.0);
  if (coverage(texel) < 0.5) discard;
  depth = gl_FragCoord.z;
}
"""
)

SCREEN = """#version 330
in vec2 corner; void main() { gl_Position = vec4(corner, 0.0, 1.0); }
"""

RESOLVE = """#version 330
uniform sampler2D image; layout(location = 0) out vec4 colour;
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy) * 2;
  vec4 sum = texelFetch(image, at, 0) + texelFetch(image, at + ivec2(1, 0), 0)
           + texelFetch(image, at + ivec2(0, 1), 0) + texelFetch(image, at + ivec2(1, 1), 0);
  sum *= 0.25;
  colour = sum.a > 0.002 ? vec4(sum.rgb / sum.a, sum.a) : vec4(0.0);
}
"""
