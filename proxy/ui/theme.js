// Light or dark: as the system has it, unless it was chosen here.
const THEME = "sidecar-theme";

const wear = (theme) => {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
};

export function startTheme(select) {
  select.value = localStorage.getItem(THEME) ?? "";
  wear(select.value);
  select.addEventListener("change", () => {
    localStorage.setItem(THEME, select.value);
    wear(select.value);
  });
}
